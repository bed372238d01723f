"""Shadow reads: a share of the reads that r2 mode answered runs again in the background, to find what would differ.

Never felt by the caller: the run begins when the answer is there, in a thread of its own, `AT_ONCE_MAX` at a time (more
are dropped and counted, not queued), and whatever goes wrong is counted. What differs is kept in memory, the last
`KEPT_MAX`, with its first differing row; the log says where, and never what: rows are the user's.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TypeVar

from actors.model.sql_turn import SqlTurn
from actors.r2mode.shadow_run import SHOWN_CHARS_MAX, Comparison, Engine, ShadowRun
from actors.r2mode.shadow_sample import is_repeatable, is_sampled
from actors.settings import DatabaseSettings
from storage.clock import Clock
from storage.layout.address import Address

AT_ONCE_MAX = 1
KEPT_MAX = 100

T = TypeVar("T")
Run = Callable[[bytes], tuple[T, bytes | None]]
Sample = tuple[str, Mapping[str, str], float]

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What became of a sampled read."""

    SAME = "same"
    DIFFERENT = "different"
    FAILED = "failed"
    SKIPPED = "skipped"
    DROPPED = "dropped"


class Glance:
    """The bytes that a sampled request ran on, if it only read them."""

    __slots__ = ("body",)

    def __init__(self) -> None:
        self.body = b""

    def over(self, run: Run[T]) -> Run[T]:
        """`run`, watched."""

        def watched(body: bytes) -> tuple[T, bytes | None]:
            answer, new = run(body)
            self.body = body if new is None else b""
            return answer, new

        return watched


@dataclass(frozen=True, slots=True)
class Kept:
    """One comparison that found something. `at`: Unix seconds; `sql`: of the first statement that differed, cut."""

    at: float
    address: Address
    sql: str
    comparison: Comparison

    def to_mapping(self) -> dict[str, object]:
        """As JSON shows it."""
        return {
            "at": self.at,
            "user": self.address.user,
            "profile": self.address.profile,
            "sql": self.sql,
            "seconds": self.comparison.seconds,
            "findings": [asdict(finding) for finding in self.comparison.findings],
        }


class ShadowReads:
    """Of one gateway. `share` is from 0 (none) to 1 (all)."""

    def __init__(self, *, share: float, seed: int, settings: DatabaseSettings, clock: Clock) -> None:
        self._share = share
        self._seed = seed
        self._settings = settings
        self._clock = clock
        self._threads = ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="holdfast-shadow")
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept: deque[Kept] = deque(maxlen=KEPT_MAX)
        self._closed = False
        self._reads = 0
        self._counts: Counter[Outcome] = Counter()
        self._seconds = dict.fromkeys(Engine, 0.0)

    def glance(self, turn: SqlTurn) -> Glance | None:
        """For a request that is about to run; None if it is not sampled. An idempotency key makes it a write."""
        if not self._share or turn.key is not None:
            return None
        self._reads += 1
        return Glance() if is_sampled(self._reads, seed=self._seed, share=self._share) else None

    def begin(self, address: Address, turn: SqlTurn, glance: Glance, answer: bytes) -> None:
        """The request was answered: compare in the background. Returns at once, raises nothing."""
        if not glance.body or self._closed:
            return  # a write, or a file that does not exist yet
        if not is_repeatable(turn.batch):
            self._counts[Outcome.SKIPPED] += 1
        elif len(self._tasks) >= AT_ONCE_MAX:
            self._counts[Outcome.DROPPED] += 1
        else:
            work = self._compare(address, ShadowRun(glance.body, turn, answer))
            task = asyncio.get_running_loop().create_task(work, name="shadow read")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def kept(self) -> Sequence[Kept]:
        """What differed or failed, newest first."""
        return tuple(reversed(self._kept))

    def samples(self) -> Sequence[Sample]:
        """Counts for metrics; none where no read is ever sampled."""
        if not self._share:
            return ()
        counts = [
            ("holdfast_shadow_reads_total", {"result": outcome.value}, float(self._counts[outcome]))
            for outcome in Outcome
        ]
        seconds = [
            ("holdfast_shadow_seconds_total", {"engine": engine.value}, self._seconds[engine]) for engine in Engine
        ]
        return [*counts, *seconds]

    async def settle(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """End what is under way: its statements are interrupted, nobody waits for them."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _compare(self, address: Address, run: ShadowRun) -> None:
        loop = asyncio.get_running_loop()
        try:
            comparison = await loop.run_in_executor(self._threads, run.compare, self._settings, self._now)
        except Exception:  # the caller has long been answered: nobody else could do anything about it
            self._counts[Outcome.FAILED] += 1
            log.warning("a shadow read failed", exc_info=True, extra=_whom(address))
            return
        for engine, seconds in comparison.seconds.items():
            self._seconds[engine] += seconds
        if not comparison.findings:
            self._counts[Outcome.SAME] += 1
            return
        failed = any(finding.failed for finding in comparison.findings)
        self._counts[Outcome.FAILED if failed else Outcome.DIFFERENT] += 1
        sql = run.turn.batch.statements[comparison.findings[0].statement].sql[:SHOWN_CHARS_MAX]
        self._kept.append(Kept(self._clock.wall(), address, sql, comparison))
        log.warning("a shadow read differs", extra={**_whom(address), **_where(comparison)})

    def _now(self) -> float:
        """In the thread: after the end every deadline has passed."""
        return math.inf if self._closed else self._clock.now()


def _whom(address: Address) -> dict[str, object]:
    return {"user": address.user, "profile": address.profile}


def _where(comparison: Comparison) -> dict[str, object]:
    first = comparison.findings[0]
    return {
        "engines": [finding.engine.value for finding in comparison.findings],
        "failed": first.failed,
        "statement": first.statement,
        "row": first.row,
        **{f"{engine.value}_s": round(seconds, 6) for engine, seconds in comparison.seconds.items()},
    }
