"""What a user's hour costs at the bucket: operations and bytes, counted on the real actor under a clock that jumps.

Nothing is timed here. One active hour is written out as reads and writes at random moments of virtual time; the actor's
own flushes, looks and snapshots follow from its settings. Prices are R2's list prices in dollars.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from actors.call import Op
from actors.settings import ActorSettings
from bench.figures.quick_time import LoopClock, QuickTimeLoop
from bench.workload.dialect import Dialect
from bench.workload.mix import draw, workload
from bench.workload.population import FULL, populate
from holdfast.testing import LocalActors
from storage.layout.address import Address
from storage.objects.counting import CountingStore
from storage.objects.memory import MemoryStore

CLASS_A_DOLLARS = 4.50 / 1e6
CLASS_B_DOLLARS = 0.36 / 1e6
HOUR_S = 3600
SEED = 17
USER = Address("u0", "main")


@dataclass(frozen=True, slots=True)
class CostFigure:
    """One user's hour in one way of keeping the database."""

    way: str
    reads: int
    writes: int
    class_a: int
    class_b: int
    bytes_written: int
    bytes_read: int

    @property
    def dollars(self) -> float:
        return self.class_a * CLASS_A_DOLLARS + self.class_b * CLASS_B_DOLLARS

    def to_json(self) -> dict[str, Any]:
        per_thousand = 1000 / self.writes if self.writes else 0.0
        return {
            **asdict(self),
            "dollars_per_hour": self.dollars,
            "class_a_per_1000_writes": self.class_a * per_thousand,
            "bytes_per_1000_writes": self.bytes_written * per_thousand,
        }


@dataclass(frozen=True, slots=True)
class Hour:
    """How busy the user is: requests of the application's mix in an hour."""

    requests: int = 1800
    seed: int = SEED


def measure_costs(hour: Hour, flush_intervals_s: Sequence[float]) -> list[CostFigure]:
    """Ours at several flush intervals (with and without a flush when idle), beside the two simpler ways.

    Not to be called where an event loop runs: it brings its own.
    """
    with asyncio.Runner(loop_factory=QuickTimeLoop) as runner:
        return runner.run(_measure(hour, flush_intervals_s))


async def _measure(hour: Hour, flush_intervals_s: Sequence[float]) -> list[CostFigure]:
    defaults = ActorSettings(ownership="strict")
    figures = []
    for interval_s in flush_intervals_s:
        quick = replace(defaults, flush_interval_s=interval_s)
        figures.append(await _ours(f"flush after {interval_s:g} s, or {quick.flush_idle_s:g} s of quiet", hour, quick))
        patient = replace(quick, flush_idle_s=interval_s)
        figures.append(await _ours(f"flush after {interval_s:g} s", hour, patient))
    return [*figures, *_simpler_ways(figures[0])]


async def _ours(way: str, hour: Hour, settings: ActorSettings) -> CostFigure:
    clock, rng = LoopClock(), random.Random(hour.seed)
    store = CountingStore(MemoryStore(clock))
    moments = sorted(rng.uniform(0, HOUR_S) for _ in range(hour.requests))
    work = workload("mix")
    reads = writes = 0
    async with LocalActors(store=store, clock=clock, settings=settings) as actors:
        await actors.call(USER, Op.SQL, {}, populate(0, FULL, Dialect.PER_USER, seed=SEED))
        await actors.call(USER, Op.FLUSH, {})
        before, began = store.counts, clock.now()
        for moment in moments:
            await clock.sleep(began + moment - clock.now())
            kind, _, body = draw(work, Dialect.PER_USER, rng)
            wrote = kind in ("insert_clip", "update_keyframes", "save_overlay")
            reads, writes = reads + (not wrote), writes + wrote
            await actors.call(USER, Op.SQL, {}, body)
        await clock.sleep(began + HOUR_S - clock.now())
        after = store.counts
    return CostFigure(
        way,
        reads,
        writes,
        after.class_a - before.class_a,
        after.class_b - before.class_b,
        after.bytes_written - before.bytes_written,
        after.bytes_read - before.bytes_read,
    )


def _simpler_ways(like: CostFigure) -> list[CostFigure]:
    """The same hour where every write is one object of a page or two, and where the whole file travels."""
    database_bytes = 256 << 10
    page_bytes = 4096
    requests = like.reads + like.writes
    return [
        CostFigure("one PUT per write", like.reads, like.writes, like.writes, 0, like.writes * page_bytes, 0),
        CostFigure(
            "download, query, upload (256 KiB file)",
            like.reads,
            like.writes,
            like.writes,
            requests,
            like.writes * database_bytes,
            requests * database_bytes,
        ),
    ]
