"""What one activation knows of being the owner: its epoch, its next slot, and when that was last confirmed (rule 7a).

`lane` orders everything that touches the next slot: one PUT in flight per actor, and a look waits until no PUT is
(rules 1 and 7a). The owner is told of somebody else's record once, through `fenced`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext

from actors.durability.claimant import Claimed
from actors.durability.parts import Parts
from storage.errors import HoldfastError
from storage.log.actor_log import ActorLog
from storage.log.record import LogState


class Ownership:
    """Mutable state of one ownership; created when its TAKE or OPEN has settled."""

    def __init__(self, log: ActorLog, parts: Parts, claimed: Claimed) -> None:
        self.epoch = claimed.epoch
        self.claim_id = claimed.claim_id
        self.machine_id = parts.disk.machine_id
        self.gen = claimed.gen
        self.state: LogState = claimed.recovered.state
        self.confirmed_at = claimed.confirmed_at
        self.fenced = False
        self.lane = asyncio.Lock()
        self._log = log
        self._clock = parts.clock
        self._settings = parts.settings
        self._rules = parts.rules

    @property
    def next_slot(self) -> int:
        return self.state.last_slot + 1

    @property
    def single_machine(self) -> bool:
        """Rule 20: the lock is the ownership, looks and waits are skipped."""
        return self._settings.ownership == "single_machine"

    def fresh(self) -> bool:
        """Second condition of rule 7c: not fenced, and confirmed within the ttl."""
        if self.fenced:
            return False
        return self.single_machine or self._clock.now() - self.confirmed_at < self._settings.ttl_s

    def ageing(self) -> bool:
        """Whether a look ahead of need would spare the next reply its wait: over half of the ttl has gone."""
        return not self.single_machine and self._clock.now() - self.confirmed_at > self._settings.ttl_s / 2

    async def look(self) -> bool:
        """One look at the next slot. True: still the owner, as of when the look was sent. False: fenced.

        Raises Unavailable while the bucket is out of reach.
        """
        async with self.lane if self._rules.looks_wait_for_puts else nullcontext():
            if self.fenced:
                return False
            sent = self._clock.now()
            absent = await self._log.absent(self.next_slot)
            if not absent:
                return False
            return await self.confirm(sent if self._rules.confirms_from_send else self._clock.now(), self.next_slot)

    async def confirm(self, sent: float, slot: int) -> bool:
        """Count a look or PUT on `slot`, first sent at `sent`, answered now. False: collected ground, so fenced.

        After an hour without confirmation the slot may have been deleted meanwhile, and a free slot or a write that
        settled proves nothing by itself: only a list of the snapshots taken afterwards does (rule 7c, finding 18). The
        hour ends with the answer: what was sent in time may have been sent again, or carried out, long afterwards.
        """
        paused = self._clock.now() - self.confirmed_at > self._settings.relist_after_s
        if paused and self._rules.relists_after_pause and await self._log.newest_snapshot() >= slot:
            return False
        self.confirmed_at = max(self.confirmed_at, sent)
        return True


class Confirmer:
    """Runs looks for everybody who waits, one at a time."""

    def __init__(
        self,
        ownership: Ownership,
        spawn: Callable[..., asyncio.Task[None]],
        on_confirmed: Callable[[], None],
        on_fenced: Callable[[], None],
        on_unreachable: Callable[[HoldfastError], None],
    ) -> None:
        self._ownership = ownership
        self._spawn = spawn
        self._on_confirmed = on_confirmed
        self._on_fenced = on_fenced
        self._on_unreachable = on_unreachable
        self._running = False

    def request(self) -> None:
        """Look soon, unless a look is under way."""
        if not self._running and not self._ownership.fenced:
            self._running = True
            self._spawn(self._run())

    async def _run(self) -> None:
        try:
            confirmed = await self._ownership.look()
        except HoldfastError as error:
            self._running = False
            self._on_unreachable(error)
            return
        self._running = False
        if confirmed:
            self._on_confirmed()
        else:
            self._on_fenced()
