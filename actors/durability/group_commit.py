"""When journals are synced: once per pass of the event loop for everything that was committed in it.

A sync on a quick disk is cheaper inline than the hand-over to a thread (0.50 against 0.55 ms per acknowledged insert at
32 clients); on a slow one it would hold up every actor of the host. So syncs are measured: while the running mean is
under `INLINE_MEAN_MAX_S`, a pass in which one actor committed syncs inline; above it in a thread. A disk that turns
slow therefore holds up other actors for one sync. What is large goes in a thread whatever the disk is like, and so do
the journals of a pass in which several actors committed: side by side, 32 of them took 2 ms where one after the other
took 134.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from actors.durability.journal import Journal
from storage.clock import Clock

INLINE_MEAN_MAX_S = 0.003
INLINE_ONE_MAX_S = 0.02
INLINE_BYTES_MAX = 1 << 20
MEAN_WEIGHT = 0.2


@dataclass(slots=True, eq=False)
class JournalSync:
    """One journal's place in the queue. `synced(commit)` and `failed(error)` are called on the event loop."""

    journal: Journal
    synced: Callable[[int], None]
    failed: Callable[[OSError], None]
    queued: bool = False
    running: bool = False
    closed: bool = False


class SyncMeter:
    """Decides inline or thread from what syncs took. Pure apart from being told."""

    def __init__(self) -> None:
        self.mean_s = 0.0

    def tell(self, seconds: float) -> None:
        """One sync took `seconds`. A single very slow one counts at once."""
        if seconds > INLINE_ONE_MAX_S:
            self.mean_s = max(self.mean_s, seconds)
            return
        self.mean_s += MEAN_WEIGHT * (seconds - self.mean_s)

    def inline(self) -> bool:
        """Whether the next sync should run inline."""
        return self.mean_s <= INLINE_MEAN_MAX_S


class GroupCommit:
    """All journals of one host."""

    def __init__(self, clock: Clock) -> None:
        self.meter = SyncMeter()
        self._clock = clock
        self._queue: deque[JournalSync] = deque()
        self._scheduled = False
        self._tasks: set[asyncio.Task[None]] = set()

    def request(self, sync: JournalSync) -> None:
        """Sync soon: after the callbacks that are ready now, so that their commits share it."""
        if sync.queued or sync.running or sync.closed:
            return
        sync.queued = True
        self._queue.append(sync)
        self._schedule()

    def sync_now(self, sync: JournalSync) -> None:
        """Sync this journal before returning (the end of an activation)."""
        if sync.journal.dirty and not sync.running:
            self._sync_inline(sync)

    def _schedule(self) -> None:
        if not self._scheduled and self._queue:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._step)

    def _step(self) -> None:
        self._scheduled = False
        waiting, self._queue = self._queue, deque()
        for sync in waiting:
            sync.queued = False
        due = [sync for sync in waiting if sync.journal.dirty and not sync.closed]
        # Journals of several actors are synced side by side: the disk takes them together, a loop in turn.
        if len(due) == 1 and self.meter.inline() and due[0].journal.pending_bytes <= INLINE_BYTES_MAX:
            self._sync_inline(due[0])
            return
        for sync in due:
            sync.running = True
            task = asyncio.get_running_loop().create_task(self._sync_in_thread(sync))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _sync_inline(self, sync: JournalSync) -> None:
        began = self._clock.now()
        try:
            number = sync.journal.sync()
        except OSError as error:
            sync.failed(error)
            return
        self.meter.tell(self._clock.now() - began)
        sync.synced(number)

    async def _sync_in_thread(self, sync: JournalSync) -> None:
        began = self._clock.now()
        try:
            number = await sync.journal.sync_in_thread()
        except OSError as error:
            sync.running = False
            if not sync.closed:
                sync.failed(error)
            return
        sync.running = False
        self.meter.tell(min(self._clock.now() - began, INLINE_ONE_MAX_S))
        if not sync.closed:
            sync.synced(number)
            if sync.journal.dirty:
                self.request(sync)
