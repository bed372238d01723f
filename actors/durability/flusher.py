"""Ships commits to the bucket: one PUT in flight, one slot per flush, all that waits in one segment (rules 1, 7).

The flusher owns the list of commits that are not in the bucket. Its task lives while there are any. What a flush finds
out goes to the gate (durable), to the journal (free) and, when the slot was somebody else's, to `on_fenced`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from actors.database.image import CommitPages
from actors.durability.commit import Commit, merge_commits
from actors.durability.flush_policy import Unflushed, flush_in_s
from actors.durability.gate import OutputGate
from actors.durability.journal import Journal
from actors.durability.ownership import Ownership
from actors.durability.parts import Parts
from storage.errors import HoldfastError, Unavailable
from storage.log.actor_log import ActorLog, Draft, draft_slot
from storage.log.record import Kind, Record
from storage.log.segment import Segment
from storage.objects.settle import Settled, Taken

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

ENCODE_INLINE_PAGES_MAX = 64
PERSIST_DELAY_S = 1.0


@dataclass(frozen=True, slots=True)
class Flushed:
    """One settled flush: its slot, its last commit and its size in the bucket, in bytes."""

    slot: int
    commit: int
    byte_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushHooks:
    """What a flusher calls: `before_flush` when it has taken every commit up to now, `on_flushed` when they have
    landed, `on_fenced` when the slot was somebody else's; `spawn` starts a task that ends with the ownership."""

    page_size: int
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    before_flush: Callable[[int], None]
    on_flushed: Callable[[Flushed], None]
    on_fenced: Callable[[], None]


class Flusher:
    """Commits of one activation on their way to the bucket."""

    def __init__(
        self, log: ActorLog, parts: Parts, ownership: Ownership, journal: Journal, gate: OutputGate, hooks: FlushHooks
    ) -> None:
        self._log = log
        self._ownership = ownership
        self._journal = journal
        self._gate = gate
        self._hooks = hooks
        self._clock = parts.clock
        self._rng = parts.rng
        self._settings = parts.settings
        self._rules = parts.rules
        self._offload = parts.offload
        self._commits: deque[Commit] = deque()
        self._bytes = 0
        self._requested = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.failure: HoldfastError | None = None
        self.flushes = 0
        self.bytes_shipped = 0

    @property
    def commits(self) -> tuple[Commit, ...]:
        """Everything that is not in the bucket, oldest first."""
        return tuple(self._commits)

    @property
    def byte_size(self) -> int:
        """What waits, in bytes."""
        return self._bytes

    @property
    def oldest_at(self) -> float | None:
        """When the oldest commit that waits was made (boot clock, seconds), None without one."""
        return self._commits[0].at if self._commits else None

    def unflushed(self) -> Unflushed | None:
        """What waits, or None."""
        if not self._commits:
            return None
        return Unflushed(self._bytes, self._commits[0].at, self._commits[-1].at)

    def add(self, commit: Commit) -> None:
        """A commit was made. It leaves with the next flush that is due."""
        self._commits.append(commit)
        self._bytes += commit.byte_size
        if self._task is None:
            self._task = self._hooks.spawn(self._run())
        elif self._bytes >= self._settings.flush_bytes_max:
            self._wake.set()

    def request(self, commit: int) -> None:
        """Flush now whatever is needed to have `commit` in the bucket."""
        if commit > self._requested:
            self._requested = commit
            self._wake.set()

    async def flush_all(self) -> bool:
        """Everything committed so far in the bucket; False when fenced on the way. The waiting may be cancelled, the
        flush goes on."""
        while self._commits and not self._ownership.fenced:
            self.request(self._commits[-1].number)
            if self._task is None:
                self._task = self._hooks.spawn(self._run())
            await asyncio.wait([self._task])
        return not self._ownership.fenced

    def settled(self, slot_record: Record, byte_size: int) -> None:
        """Count a record with pages of ours as landed: a SEGMENT, or the HANDOVER that ends the ownership."""
        assert slot_record.commits is not None
        number = slot_record.commits[1]
        self._ownership.state = self._ownership.state.advance(slot_record)
        while self._commits and self._commits[0].number <= number:
            self._bytes -= self._commits.popleft().byte_size
        self.flushes += 1
        self.bytes_shipped += byte_size
        if self._journal.failed is not None and not self._commits:
            self._journal.restart(number)
        self._gate.advance_remote(number)
        self._hooks.on_flushed(Flushed(self._ownership.state.last_slot, number, byte_size))

    async def draft(self, kind: Kind, slot: int, put_id: str | None = None) -> Draft:
        """The slot's object with every commit that waits; frozen from here on (rule 1)."""
        commits = self.commits
        pages = merge_commits(commits)
        record = self.record(kind, (commits[0].number, commits[-1].number), put_id)
        segment = self.segment(slot, pages)
        if len(pages.pages) <= ENCODE_INLINE_PAGES_MAX:
            return draft_slot(slot, record, segment)
        return await self._offload(draft_slot, slot, record, segment)

    def record(self, kind: Kind, commits: tuple[int, int] | None, put_id: str | None = None) -> Record:
        """A record of this ownership."""
        return Record(
            kind=kind,
            epoch=self._ownership.epoch,
            claim_id=self._ownership.claim_id,
            put_id=put_id or f"{self._rng.getrandbits(128):032x}",
            machine_id=self._ownership.machine_id,
            ttl_s=self._settings.ttl_s,
            gen=self._ownership.gen,
            commits=commits,
            base=self._ownership.state.last_commit,
        )

    @staticmethod
    def no_pages(page_count: int) -> CommitPages:
        """The pages of a record that changes nothing, for a database of `page_count` pages."""
        return CommitPages(page_count, ())

    def segment(self, slot: int, pages: CommitPages) -> Segment:
        """The segment of one slot."""
        return Segment(
            first=slot,
            last=slot,
            page_size=self._hooks.page_size,
            page_count=pages.page_count,
            pages=pages.pages,
            node_id=self._ownership.epoch,
            timestamp_ms=int(self._clock.wall() * 1000),
        )

    async def _run(self) -> None:
        while (delay := self._due_in()) is not None:
            if delay > 0:
                await self._sleep(delay)
            elif not await self._flush():
                break
        self._task = None

    async def _flush(self) -> bool:
        """One segment with all that waits. False: fenced (`on_fenced` was called)."""
        async with self._ownership.lane:
            if self._ownership.fenced:
                return False
            settled = not self._commits or await self._ship()
        if not settled:
            self._hooks.on_fenced()
        return settled

    def _due_in(self) -> float | None:
        requested = bool(self._commits) and self._requested >= self._commits[0].number
        return flush_in_s(self.unflushed(), now=self._clock.now(), requested=requested, settings=self._settings)

    async def _sleep(self, delay: float) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(delay):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _ship(self) -> bool:
        """Under the lane."""
        slot = self._ownership.next_slot
        self._hooks.before_flush(self._commits[-1].number)
        self._journal.turn()
        draft = await self.draft(Kind.SEGMENT, slot)
        first_sent_at = self._clock.now()  # `_put` may begin more than once; only its very first send counts (rule 7a)
        outcome = await self._put(draft)
        if isinstance(outcome, Taken):
            return False
        sent = first_sent_at if self._rules.confirms_from_first_send else self._clock.now()
        if not await self._persist(self._ownership.confirm, sent, slot):
            return False
        self._on_success()
        self.settled(draft.record, len(draft.body))
        self._gate.confirmed()
        return True

    async def _put(self, draft: Draft) -> Settled | Taken:
        if self._rules.freezes_body:
            return await self._persist(self._log.put, draft, on_failure=self._on_failure)
        while True:  # the mutant of finding 12: a retry carries what was committed meanwhile
            try:
                return await self._log.put(draft, attempts_max=1)
            except Unavailable:
                draft = await self.draft(Kind.SEGMENT, draft.slot, draft.record.put_id)

    async def _persist(self, step: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Until it answers. The lane stays held: no look may mistake our own unsettled PUT for a foreign record."""
        while True:
            try:
                return await step(*args, **kwargs)
            except HoldfastError as error:
                self._on_failure(error)
                await self._clock.sleep(PERSIST_DELAY_S * (0.5 + self._rng.random()))

    def _on_failure(self, error: HoldfastError) -> None:
        """Said once when it begins; status answers show the newest error until it is over."""
        if self.failure is None:
            logger.warning("flush waits", extra={"address": str(self._log.address), "error": error.message})
        self.failure = error

    def _on_success(self) -> None:
        if self.failure is not None:
            logger.info("flush goes on", extra={"address": str(self._log.address)})
        self.failure = None
