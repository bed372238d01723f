"""The output gate: no reply and no push leaves before what it has seen is durable at its level, and before the
ownership was confirmed after that (rule 7c). Knows nothing of SQLite, disks or buckets; it is told.

    admit(commit, level, …)    durable and confirmed already: released at once
                               else: waits for `advance_local` / `advance_remote`, then for `confirmed`
    close(…), fail_all(…)      closed for good: nothing is released any more

Waiters are released in the order of what they saw. Every waiter ends exactly once, by `release` or by `drop`.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from actors.call import Durability
from actors.errors import Overloaded
from storage.errors import HoldfastError

WAITERS_MAX = 100_000


@dataclass(slots=True, eq=False)
class Waiter:
    """A reply that is held. `wrote`: its own request made commit `commit`. `since`: boot clock, seconds."""

    commit: int
    level: Durability
    wrote: bool
    since: float
    release: Callable[[], None]
    drop: Callable[[HoldfastError], None]
    checked: bool = False  # only the mutant of finding 15 sets it
    held: bool = False


class OutputGate:
    """Positions and waiters of one activation. `fresh` says whether the ownership is confirmed now."""

    def __init__(
        self,
        *,
        base: int,
        fresh: Callable[[], bool],
        want_confirmation: Callable[[], None],
        local_allowed: Callable[[], bool],
        on_held: Callable[[float], None] = lambda since: None,
        age_before_sync: bool = False,
    ) -> None:
        self.local = base
        self.remote = base
        self.closed: HoldfastError | None = None
        self._fresh = fresh
        self._want_confirmation = want_confirmation
        self._local_allowed = local_allowed
        self._on_held = on_held
        self._age_before_sync = age_before_sync  # mutant, finding 15
        self._for_local: deque[Waiter] = deque()
        self._for_remote: deque[Waiter] = deque()
        self._for_confirmation: deque[Waiter] = deque()

    @property
    def waiting(self) -> int:
        return len(self._for_local) + len(self._for_remote) + len(self._for_confirmation)

    def durable(self, level: Durability) -> int | None:
        """Highest commit that is durable at `level`; None: no bound."""
        if level is Durability.MEMORY:
            return None
        if level is Durability.R2:
            return self.remote
        return max(self.local, self.remote)

    def admit(self, waiter: Waiter) -> bool:
        """Release the reply now or when it may leave. True: it waits."""
        if self.closed is not None:
            waiter.drop(self.closed)
        elif self.waiting >= WAITERS_MAX:
            waiter.drop(Overloaded(f"{self.waiting} replies wait until they may leave", retry_after_s=1.0))
        elif self._is_durable(waiter):
            return self._pass(waiter)
        else:
            waiter.held = True
            waiter.checked = self._age_before_sync and self._fresh()
            self._queue(self._for_remote if waiter.level is Durability.R2 else self._for_local, waiter)
            return True
        return False

    def advance_local(self, commit: int) -> None:
        """Everything up to `commit` is in the synced journal."""
        self.local = max(self.local, commit)
        self._settle_local()

    def advance_remote(self, commit: int) -> None:
        """Everything up to `commit` is in the log."""
        self.remote = max(self.remote, commit)
        self._settle_local()
        queue = self._for_remote
        while queue and queue[0].commit <= self.remote and self.closed is None:
            self._pass(queue.popleft())

    def confirmed(self) -> None:
        """The ownership was confirmed; whoever only waited for that may leave, if it still holds."""
        waiting, self._for_confirmation = self._for_confirmation, deque()
        for waiter in waiting:
            self.admit(waiter)

    def recheck(self) -> None:
        """Something that `local_allowed` depends on has changed."""
        self._settle_local()

    def close(self, error: HoldfastError) -> None:
        """Close for good. Whoever waits is kept for `release_settled` or `fail_all`."""
        self.closed = error

    def fail_all(self, error: HoldfastError) -> None:
        """Close for good; everybody who waits is dropped with `error`."""
        self.closed = self.closed or error
        for waiter in self._take_all():
            waiter.drop(error)

    def release_settled(self) -> None:
        """The owner is fenced and handed over: what is in the log for good may be told (rule 7e)."""
        for waiter in self._take_all():
            if waiter.commit <= self.remote:
                waiter.release()
            else:
                self._for_remote.append(waiter)

    def drop_older_than(self, limit: float, error: HoldfastError) -> None:
        """Replies held since before `limit` give up."""
        self._drop(lambda waiter: waiter.since < limit, error)

    def drop_beyond(self, commit: int, error: HoldfastError) -> None:
        """Whoever waits for a later commit than `commit` gives up: there will be none."""
        self._drop(lambda waiter: waiter.commit > commit, error)

    def oldest_since(self) -> float | None:
        """When the reply that waits longest began to wait."""
        queues = (self._for_local, self._for_remote, self._for_confirmation)
        return min((waiter.since for queue in queues for waiter in queue), default=None)

    def _is_durable(self, waiter: Waiter) -> bool:
        if waiter.level is Durability.LOCAL:
            return waiter.commit <= self.remote or (waiter.commit <= self.local and self._local_allowed())
        return waiter.level is Durability.MEMORY or waiter.commit <= self.remote

    @staticmethod
    def _queue(queue: deque[Waiter], waiter: Waiter) -> None:
        """In the order of commits: nearly always at the end, except for somebody who waits for a later bookmark."""
        if queue and queue[-1].commit > waiter.commit:
            insort(queue, waiter, key=lambda each: each.commit)
        else:
            queue.append(waiter)

    def _settle_local(self) -> None:
        queue = self._for_local
        while queue and self.closed is None and self._is_durable(queue[0]):
            self._pass(queue.popleft())

    def _pass(self, waiter: Waiter) -> bool:
        """Release what is durable, or hold it until the ownership is confirmed (then True)."""
        # What its own segment put into the log stays there, whoever owns the actor by now (rule 7c).
        if self._fresh() or waiter.checked or (waiter.wrote and waiter.commit <= self.remote):
            if waiter.held:
                self._on_held(waiter.since)
            waiter.release()
            return False
        waiter.held = True
        self._for_confirmation.append(waiter)
        self._want_confirmation()
        return True

    def _drop(self, which: Callable[[Waiter], bool], error: HoldfastError) -> None:
        for queue in (self._for_local, self._for_remote, self._for_confirmation):
            chosen = [waiter for waiter in queue if which(waiter)]
            for waiter in chosen:
                queue.remove(waiter)
                waiter.drop(error)

    def _take_all(self) -> list[Waiter]:
        queues = (self._for_local, self._for_remote, self._for_confirmation)
        taken = [waiter for queue in queues for waiter in queue]
        for queue in queues:
            queue.clear()
        return taken
