"""Moves one address: read the file, read the log, decide, carry out one conditional write, start over (rules 15 to 19).

Nothing is remembered between two steps but the time at which this driver first met the file sealed. A step that found
somebody else faster changes nothing and is followed by another look.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from actors.database.image import PageImage
from actors.durability.recovery import Recovered, recover
from actors.model.birth import template_image
from migrate.decision import ENDS, Goal, Step, decide, needs_log
from migrate.errors import NoProgress, PauseTooLong, Quarantined, StillOwned
from migrate.imaging import body_for_reopening, image_for_import, inspect_file
from migrate.parts import MigrationParts
from migrate.verification import verify_import
from storage.errors import CorruptObject, HoldfastError, ObjectNotFound
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.log.actor_log import draft_slot
from storage.log.page import Page, lock_page
from storage.log.record import Kind, LogState, Record
from storage.log.segment import Segment, encode_segment
from storage.log.snapshot import snapshot_segment
from storage.objects.port import StoredObject
from storage.objects.settle import Settled
from storage.r2_sqlite.change import swap_file
from storage.r2_sqlite.file_state import FileState, Mode, read_state, state_from_metadata
from storage.r2_sqlite.transition import Event, WrongState

AGAIN_S = 0.05
NOBODY = "-"  # no disk holds a journal of a record that a driver wrote
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """One address as read. `log` is None where the file alone decides."""

    file: StoredObject | None
    state: FileState | None
    log: Recovered | None

    @property
    def log_state(self) -> LogState:
        return LogState() if self.log is None else self.log.state


@dataclass(frozen=True, slots=True)
class Moved:
    """Where an address ended: the last step and the file behind it. `pause_s`: how long writes had to wait, as far as
    this driver saw it; None where it changed nothing."""

    end: Step
    look: Look
    steps: int
    pause_s: float | None


class Witness(Protocol):
    """Is told of a step before it is carried out; what it raises ends the move."""

    async def __call__(self, step: Step, look: Look) -> None: ...


async def no_witness(step: Step, look: Look) -> None:
    """Nobody wants to know."""


class Mover:
    """See the module. One per address and attempt."""

    def __init__(self, parts: MigrationParts, address: Address, *, witness: Witness = no_witness) -> None:
        self._parts = parts
        self._rules = parts.rules
        self._address = address
        self._log = parts.log_of(address)
        self._key = database_key(parts.env, address)
        self._witness = witness
        self._sealed_at: float | None = None
        self._pause_s: float | None = None
        self._asked_since: float | None = None
        self._refusal = ""
        self._steps: dict[Step, Callable[[Look], Awaitable[bool]]] = {
            Step.SEAL: self._seal,
            Step.IMPORT: self._import,
            Step.SNAPSHOT: self._snapshot,
            Step.CUT_OVER: self._cut_over,
            Step.ABORT: self._abort,
            Step.RETURN: self._return,
            Step.DRAIN: self._drain,
            Step.CLOSE: self._close,
            Step.REOPEN: self._reopen,
            Step.LOOK_AGAIN: self._look_again,
        }

    async def move(self, goal: Goal, *, force: bool = False) -> Moved:
        """Carry the address to its goal. Raises MigrationError and what the bucket raises; then a later call goes on.

        `force` closes the log over an owner that does not end; its unflushed commits are lost to the rollback and its
        journal will be reported as an orphan (rule 18).
        """
        for count in range(self._parts.settings.steps_max):
            look = await self.look(goal)
            step = decide(
                goal,
                look.state,
                look.log_state,
                snapshot_slot=look.log.snapshot_slot if look.log else 0,
                force=force,
                rules=self._rules,
            )
            await self._witness(step, look)
            if step in ENDS:
                return Moved(step, look, count, self._pause_s)
            if not await self._carry_out(step, look):
                await self._parts.clock.sleep(AGAIN_S * (0.5 + self._parts.rng.random()))
        raise NoProgress(f"{self._address}: {self._parts.settings.steps_max} steps, and no end", retry_after_s=1.0)

    async def unseal(self) -> None:
        """Give a file back that this driver cannot move. Does nothing to one that is not sealed, or moved."""
        look = await self.look(Goal.R2)
        if look.state is not None and look.state.state is Mode.SEALING:
            await self._abort(look)

    async def look(self, goal: Goal) -> Look:
        """The file, then the log where it is needed. Raises Quarantined, CorruptObject, LogGap, Unavailable."""
        try:
            file = await self._parts.store.get(self._key)
        except ObjectNotFound:
            return Look(None, None, None)
        try:
            state = read_state(file.body)
        except CorruptObject:
            await self._parts.offload(inspect_file, file.body, self._parts.database)  # says what it is instead
            raise
        if not self._rules.file.seals_body:
            state = state_from_metadata(file.info.metadata) or state
        if not needs_log(goal, state):
            return Look(file, state, None)
        return Look(file, state, await recover(self._log, await self._log.listing()))

    async def _carry_out(self, step: Step, look: Look) -> bool:
        """Whether the step was this driver's. After a quarantine nothing stays sealed."""
        try:
            return await self._steps[step](look)
        except Quarantined:
            if step is not Step.SEAL:
                await self._abort(look)
            raise

    # ---- to the actor

    async def _seal(self, look: Look) -> bool:
        """Rule 15. What cannot be imported is not sealed."""
        assert look.file is not None
        await self._parts.offload(inspect_file, look.file.body, self._parts.database)
        before = self._parts.clock.now()
        if not await self._swap(look, Event.SEAL):
            return False
        self._sealed_at = before
        return True

    async def _import(self, look: Look) -> bool:
        """Rule 16: every page, in the next slot."""
        assert look.file is not None and look.state is not None
        log = look.log_state
        settings = self._parts.database
        if look.log is not None and look.log.image is not None:
            settings = replace(settings, page_size=look.log.image.page_size)  # a log has one page size all its life
        image = await self._parts.offload(image_for_import, look.file.body, settings)
        number = log.last_commit + 1
        return await self._put(
            Kind.IMPORT, look, look.state.gen, image, pages=_all_pages(image), commits=(number, number)
        )

    async def _snapshot(self, look: Look) -> bool:
        """Rule 16, second half: slots 1 to n as one object."""
        assert look.log is not None and look.log.image is not None
        image, state = look.log.image, look.log.state
        segment = snapshot_segment(
            image.pages,
            page_size=image.page_size,
            last_slot=state.last_slot,
            node_id=state.epoch_max,
            timestamp_ms=self._timestamp_ms(),
        )
        body = await self._parts.offload(encode_segment, segment)
        await self._log.put_snapshot(segment, body, state, put_id=self._parts.new_id())
        await self._log.put_hint(state.last_slot)
        return True

    async def _cut_over(self, look: Look) -> bool:
        """Rule 17: what the log gave just now, compared with the sealed bytes; then the commit point."""
        assert look.file is not None and look.log is not None
        if self._rules.verifies:
            await self._parts.offload(verify_import, look.file.body, look.log.image)
        limit_s = self._parts.settings.pause_s_max
        if self._sealed_at is not None and 0 < limit_s < self._parts.clock.now() - self._sealed_at:
            await self._abort(look)
            raise PauseTooLong(
                f"{self._address}: writes have waited for more than {limit_s:g} s", retry_after_s=limit_s
            )
        return await self._swap(look, Event.CUT_OVER, ends_pause=True)

    async def _abort(self, look: Look) -> bool:
        """Rule 15, backwards."""
        return await self._swap(look, Event.ABORT, ends_pause=True)

    # ---- and back (rule 18)

    async def _return(self, look: Look) -> bool:
        before = self._parts.clock.now()
        if not await self._swap(look, Event.RETURN):
            return False
        self._sealed_at = before
        return True

    async def _drain(self, look: Look) -> bool:
        """The owner is asked until its epoch is closed; whether it is, the next look says."""
        clock, settings = self._parts.clock, self._parts.settings
        if self._asked_since is None:
            self._asked_since = clock.now()
        elif clock.now() - self._asked_since > settings.release_wait_s:
            owner = look.log_state.open
            where = "" if owner is None else f" (epoch {owner.epoch}, disk {owner.machine_id})"
            waited = f"has not released it for {settings.release_wait_s:g} s{self._refusal}"
            raise StillOwned(
                f"{self._address}: its owner{where} {waited}",
                retry_after_s=settings.release_ask_s,
            )
        try:
            await self._parts.actors.release(self._address)
        except HoldfastError as error:
            logger.info("owner asked to release: %s", error.message, extra={"address": str(self._address)})
            self._refusal = f"; the last answer: {error.message}"
            await clock.sleep(settings.release_ask_s)
        return False

    async def _close(self, look: Look) -> bool:
        """CLOSE in the next slot. In an empty log it has to bring a database: that of a new address."""
        assert look.state is not None
        image = look.log.image if look.log is not None else None
        pages: tuple[Page, ...] = ()
        if image is None:
            image = template_image(self._parts.database)
            pages = _all_pages(image)
        number = look.log_state.last_commit + 1
        return await self._put(
            Kind.CLOSE, look, look.state.gen, image, pages=pages, commits=(number, number) if pages else None
        )

    async def _reopen(self, look: Look) -> bool:
        """The file again, with everything that was written since the cut-over."""
        image = look.log.image if look.log is not None else None
        if image is None:
            image = template_image(self._parts.database)
        body = await self._parts.offload(body_for_reopening, image)
        return await self._swap(look, Event.REOPEN, body=body, ends_pause=True)

    async def _look_again(self, look: Look) -> bool:
        """The log is ahead of the file that was read: somebody has begun another round meanwhile."""
        return False

    # ---- writing

    async def _swap(self, look: Look, event: Event, *, body: bytes | None = None, ends_pause: bool = False) -> bool:
        """One compare-and-swap of the file. False: it was changed meanwhile."""
        assert look.file is not None
        parts = self._parts
        try:
            swapped = await swap_file(
                parts.store, look.file, event, clock=parts.clock, rng=parts.rng, body=body, rules=self._rules.file
            )
        except WrongState:
            return False
        if swapped is None:
            return False
        if ends_pause and self._sealed_at is not None:
            self._pause_s = parts.clock.now() - self._sealed_at
            self._sealed_at = None
        return True

    async def _put(
        self,
        kind: Kind,
        look: Look,
        gen: int,
        image: PageImage,
        *,
        pages: tuple[Page, ...],
        commits: tuple[int, int] | None,
    ) -> bool:
        """A record of this driver in the next slot. False: the slot was taken meanwhile, list again."""
        state = look.log_state
        slot = state.last_slot + 1 if self._rules.imports_into_next_slot or kind is not Kind.IMPORT else 1
        record = Record(
            kind=kind,
            epoch=state.epoch_max + 1,
            claim_id=self._parts.new_id(),
            put_id=self._parts.new_id(),
            machine_id=NOBODY,
            ttl_s=0.0,
            gen=gen,
            base=state.last_commit,
        )
        segment = Segment(
            first=slot,
            last=slot,
            page_size=image.page_size,
            page_count=image.page_count,
            pages=pages,
            node_id=record.epoch,
            timestamp_ms=self._timestamp_ms(),
        )
        draft = draft_slot(slot, replace(record, commits=commits), segment)
        return isinstance(await self._log.put(draft), Settled)

    def _timestamp_ms(self) -> int:
        return int(self._parts.clock.wall() * 1000)


def _all_pages(image: PageImage) -> tuple[Page, ...]:
    lock = lock_page(image.page_size)
    return tuple((number, page) for number, page in enumerate(image.pages, start=1) if number != lock)
