"""Keeps the commits of one ownership: wires journal, group commit, gate, flusher, looks and snapshots together, and
carries an ownership to its end (rules 7 and 8). The parts decide; this file only connects them.

An ending has one of three causes: `release` (asked), a fence (somebody claimed), `kill` (the process has to go).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from actors.call import Durability
from actors.database.image import CommitPages, PageImage
from actors.durability.agent import journal_name, settle_journal
from actors.durability.claimant import Claimed
from actors.durability.collector import collect
from actors.durability.commit import Commit
from actors.durability.disk import Lock
from actors.durability.fencing import hand_over
from actors.durability.flush_policy import local_held
from actors.durability.flusher import Flushed, Flusher, FlushHooks
from actors.durability.gate import OutputGate, Waiter
from actors.durability.group_commit import JournalSync
from actors.durability.journal import Journal
from actors.durability.ownership import Confirmer, Ownership
from actors.durability.parts import Parts
from actors.durability.snapshotter import Snapshotter
from actors.errors import ActivationEnded, JournalFull, Moved
from storage.errors import HoldfastError, Unavailable
from storage.log.actor_log import ActorLog, draft_slot
from storage.log.bookmark import Bookmark
from storage.log.record import Kind, LogState

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 0.5
HOLD_CHECK_S = 1.0
RELEASE_SENDS_MAX = 3


class Keeper:
    """One ownership. `committed_image` gives the image as it was last committed, or None while a turn is changing it;
    `on_end` is told once, when nothing is left to do."""

    def __init__(
        self,
        parts: Parts,
        log: ActorLog,
        lock: Lock,
        claimed: Claimed,
        committed_image: Callable[[], PageImage | None],
        on_end: Callable[[HoldfastError | None], None],
    ) -> None:
        self._parts = parts
        self._log = log
        self._lock = lock
        self._committed_image = committed_image
        self._on_end = on_end
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        self._closing: asyncio.Task[None] | None = None
        self._hold_timer: asyncio.TimerHandle | None = None
        self._collected_at = parts.clock.now()
        state = claimed.recovered.state
        self.committed = state.last_commit
        self.page_count = claimed.image.page_count
        self.ownership = Ownership(log, parts, claimed)
        self.journal = Journal(parts.disk, journal_name(log.address), claimed.claim_id, claimed.epoch)
        self.journal.restart(state.last_commit)
        self.gate = OutputGate(
            base=state.last_commit,
            fresh=self.ownership.fresh,
            want_confirmation=self._look,
            local_allowed=lambda: not self.local_held(),
            on_held=lambda since: parts.counters.gate_wait.observe(max(0.0, parts.clock.now() - since)),
            age_before_sync=not parts.rules.checks_age_after_sync,
        )
        self.confirmer = Confirmer(
            self.ownership, self._spawn, self.gate.confirmed, self._on_fenced, self._on_unreachable
        )
        self.snapshotter = Snapshotter(log, parts, claimed.recovered)
        hooks = FlushHooks(
            page_size=claimed.image.page_size,
            spawn=self._spawn,
            before_flush=self._before_flush,
            on_flushed=self._on_flushed,
            on_fenced=self._on_fenced,
        )
        self.flusher = Flusher(log, parts, self.ownership, self.journal, self.gate, hooks)
        self._sync = JournalSync(self.journal, self.gate.advance_local, self._on_sync_failed)
        if (image := self.snapshotter.after_claim(claimed.image, state)) is not None:
            self._spawn(self._snapshot(image, state))

    # ---- commits and replies

    @property
    def bookmark(self) -> Bookmark:
        """The position of the last commit."""
        return self.bookmark_of(self.committed)

    def bookmark_of(self, commit: int) -> Bookmark:
        """The position of one of this ownership's commits."""
        return Bookmark(self.ownership.epoch, commit, self.ownership.gen)

    def refusal(self) -> HoldfastError | None:
        """Why no write may run now: it could not be kept as promised (rule 7d), the journal is full, or all is over."""
        if self.ownership.fenced:
            return ActivationEnded(f"actor {self._log.address} is ending", retry_after_s=0.05)
        flusher = self.flusher
        if flusher.oldest_at is None:
            return None
        if flusher.byte_size >= self._parts.settings.journal_bytes_max:
            flusher.request(self.committed)
            return JournalFull(
                f"{flusher.byte_size} bytes wait for the bucket, at most {self._parts.settings.journal_bytes_max}",
                retry_after_s=self._parts.settings.flush_interval_s,
            )
        if self.local_held():
            return Unavailable("the bucket has not answered for too long", retry_after_s=self._parts.settings.ttl_s)
        return None

    def local_held(self) -> bool:
        """Rule 7d."""
        oldest_at = self.flusher.oldest_at
        if oldest_at is None or not self._parts.rules.holds_when_flush_is_late:
            return False
        return local_held(oldest_at, now=self._parts.clock.now(), settings=self._parts.settings)

    def flush_lag_s(self) -> float:
        """Age of the oldest commit that is not in the bucket, in seconds; 0 without one."""
        oldest_at = self.flusher.oldest_at
        return 0.0 if oldest_at is None else self._parts.clock.now() - oldest_at

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """A timer of the event loop."""
        return asyncio.get_running_loop().call_later(seconds, callback)

    def commit(self, pages: CommitPages) -> int:
        """Take in what SQLite has just committed; its number."""
        self.committed += 1
        self._parts.counters.commits += 1
        self.page_count = pages.page_count
        commit = Commit(self.committed, pages, self._parts.clock.now())
        self.journal.append(commit)
        self.flusher.add(commit)
        return self.committed

    def hold(
        self,
        commit: int,
        level: Durability,
        *,
        wrote: bool,
        release: Callable[[], None],
        drop: Callable[[HoldfastError], None],
        patience_s: float = 0.0,
    ) -> None:
        """Let a reply that has seen `commit` leave when it may; `patience_s` is waited beyond `reply_hold_s`."""
        since = self._parts.clock.now() + patience_s
        if self.gate.admit(Waiter(commit, level, wrote, since, release, drop)):
            self._drive(level, commit)
        if self.ownership.ageing():
            self._look()

    # ---- endings

    async def release(self) -> None:
        """Rule 8. Whoever calls has stopped taking requests."""
        if self._ending:
            return
        if not await self.flusher.flush_all():
            return  # fenced on the way: that ending goes on by itself
        ended = ActivationEnded(f"actor {self._log.address} was released")
        self.gate.drop_beyond(self.committed, ended)
        await self._let_replies_out()
        if self._ending or self.ownership.fenced:
            return
        self._ending = True
        if self._parts.rules.closes_gate_before_release:
            self.gate.fail_all(ended)
            self.ownership.fenced = True
        async with self.ownership.lane:
            await self._put_release()
        self.gate.fail_all(ended)
        await self._close(None, journal_done=not self.flusher.commits)

    async def kill(self, error: HoldfastError) -> None:
        """End now, write nothing to the bucket. The journal keeps what was not shipped."""
        self._ending = True
        self.ownership.fenced = True
        self.gate.fail_all(error)
        await self._close(error, journal_done=False)

    # ---- inside

    async def _put_release(self) -> None:
        """Rule 8: whatever the answer, this ownership is over."""
        slot = self.ownership.next_slot
        pages = self.flusher.no_pages(self.page_count)
        draft = draft_slot(slot, self.flusher.record(Kind.RELEASE, None), self.flusher.segment(slot, pages))
        try:
            await self._log.put(draft, attempts_max=RELEASE_SENDS_MAX)
        except HoldfastError as error:
            self._warn("release not confirmed", error)

    def _drive(self, level: Durability, commit: int) -> None:
        """Somebody waits: make what they wait for happen."""
        if level is Durability.R2:
            self.flusher.request(commit)
        elif level is Durability.LOCAL and commit > self.gate.local:
            if self.journal.failed is None:
                self._parts.group_commit.request(self._sync)
            else:
                self.flusher.request(commit)
        if self._hold_timer is None:
            self._hold_timer = asyncio.get_running_loop().call_later(HOLD_CHECK_S, self._check_holds)

    def _check_holds(self) -> None:
        """Nobody waits for ever: after `reply_hold_s` the bucket counts as out of reach."""
        self._hold_timer = None
        if self.gate.waiting and not self._closed:
            limit = self._parts.clock.now() - self._parts.settings.reply_hold_s
            self.gate.recheck()
            self.gate.drop_older_than(limit, Unavailable("the bucket has not answered for too long", retry_after_s=1.0))
        if self.gate.waiting and not self._closed:
            self._hold_timer = asyncio.get_running_loop().call_later(HOLD_CHECK_S, self._check_holds)

    def _look(self) -> None:
        if not self._ending:
            self.confirmer.request()

    def _on_unreachable(self, error: HoldfastError) -> None:
        if self.gate.waiting and not self._ending:
            asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self._look)

    def _on_sync_failed(self, error: OSError) -> None:
        """The disk is full or broken: from here until it is empty the journal is skipped, the bucket has to do."""
        self._parts.counters.journal_failures += 1
        logger.error("journal failed", extra={"address": str(self._log.address), "error": str(error)})
        self.flusher.request(self.committed)

    def _before_flush(self, commit: int) -> None:
        unflushed = self.flusher.unflushed()
        image = self._committed_image()
        if image is None:
            return
        if self._parts.rules.snapshots_settled_only:
            self.snapshotter.before_flush(image, unflushed.byte_size if unflushed else 0)
        else:  # the mutant of finding 19: the live image, for a slot that is not settled yet
            record = self.flusher.record(Kind.SEGMENT, (commit, commit))
            state = self.ownership.state.advance(record)
            self._spawn(self.snapshotter.write(image, state, epoch=self.ownership.epoch))

    def _on_flushed(self, flushed: Flushed) -> None:
        counters = self._parts.counters
        counters.flushes += 1
        counters.flushed_bytes += flushed.byte_size
        image = self.snapshotter.after_flush(flushed.byte_size)
        if image is not None and not self._ending:  # a hand-over may hold commits that the kept image lacks
            self._spawn(self._snapshot(image, self.ownership.state))

    async def _snapshot(self, image: PageImage, state: LogState) -> None:
        written = self.snapshotter.written
        await self.snapshotter.write(image, state, epoch=self.ownership.epoch)
        self._parts.counters.snapshots += self.snapshotter.written - written
        now = self._parts.clock.now()
        if now - self._collected_at >= self._parts.settings.collect_interval_s:
            self._collected_at = now
            try:
                collected = await collect(self._log, retention_s=self._parts.settings.retention_s)
                self._parts.counters.collected_slots += collected.slots
            except HoldfastError as error:
                self._warn("collection failed", error)

    def _on_fenced(self) -> None:
        if not self._ending:
            self._ending = True
            self._parts.counters.fences += 1
            self._spawn(self._end_fenced())

    async def _end_fenced(self) -> None:
        moved = Moved(f"actor {self._log.address}: another owner claimed it")
        while True:
            try:
                handed = await hand_over(
                    self._log,
                    self.ownership,
                    self.flusher,
                    self.gate,
                    page_count=self.page_count,
                    enabled=self._parts.rules.hands_over_when_fenced,
                )
                break
            except HoldfastError as error:
                self._warn("hand-over waits", error)
                await self._parts.clock.sleep(LOOK_AGAIN_S)
        self._parts.counters.handovers += handed
        self.gate.fail_all(moved)
        journal_done = handed or not self.flusher.commits
        await self._close(moved, journal_done=journal_done, settle=not journal_done)

    async def _let_replies_out(self) -> None:
        """Before a release: whoever waits only for a look gets one."""
        while self.gate.waiting and not self._ending and not self.ownership.fenced:
            self._look()
            self.gate.recheck()
            await self._parts.clock.sleep(0.01)

    @property
    def _closed(self) -> bool:
        return self._closing is not None

    async def _close(self, error: HoldfastError | None, *, journal_done: bool, settle: bool = False) -> None:
        """The first ending counts. It goes on to its end whoever of those that wait for it is called off."""
        if self._closing is None:
            work = self._free(error, journal_done=journal_done, settle=settle)
            self._closing = asyncio.get_running_loop().create_task(work)
        await asyncio.shield(self._closing)

    async def _free(self, error: HoldfastError | None, *, journal_done: bool, settle: bool) -> None:
        if self._hold_timer is not None:
            self._hold_timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not journal_done:
            self._parts.group_commit.sync_now(self._sync)
        self._sync.closed = True
        try:
            self.journal.close(delete=journal_done)
        except OSError as failure:
            self._warn("journal not put away", failure)
        self._lock.release()
        if settle:
            try:
                await settle_journal(self._parts, self._log.address)
            except (HoldfastError, OSError) as failure:
                self._warn("orphan kept locally", failure)
        self._on_end(error)

    def _warn(self, what: str, error: Exception) -> None:
        logger.warning(what, extra={"address": str(self._log.address), "error": str(error)})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._closed:
            logger.error("actor task failed", exc_info=error, extra={"address": str(self._log.address)})
            self._ending = True
            broken = ActivationEnded(f"actor {self._log.address} failed: {error!r}")
            self.ownership.fenced = True
            self.gate.fail_all(broken)
            self._spawn(self._close(broken, journal_done=False))
