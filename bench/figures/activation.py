"""Activation: the first request to a database after a restart, and what an active small database weighs.

For a new address the first request creates everything; for one with data the service was ended in order and started
again before. Each contender starts with the file system's cache warm, as a machine that was restarted a moment ago has.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any

from bench.load.plan import Endpoint
from bench.peers.contender import Caller, Contender
from bench.process_table import private_bytes
from bench.workload import statement as s
from bench.workload.population import FULL, SMALL, fill_up, populate

FIRST_NEW, FIRST_FILLED, FIRST_SMALL, WARM = 100_000, 200_000, 300_000, 399_999
SETTLE_S = 2.0
SEED = 11
MS = 1000.0


@dataclass(frozen=True, slots=True)
class ActivationFigure:
    """Milliseconds of first requests to databases of one size (`mebibytes` 0: new addresses)."""

    contender: str
    mebibytes: int
    count: int
    p50_ms: float
    p95_ms: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class MemoryFigure:
    """Private memory of all processes per active database, from `count` that became active."""

    contender: str
    count: int
    bytes_each: float
    bytes_before: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def measure_activations(contender: Contender, sizes: Sequence[int], *, count: int) -> list[ActivationFigure]:
    """`count` databases of each size in MiB, and as many new ones. Starts and stops the contender twice."""
    endpoint = await contender.start()
    try:
        for size in sizes:
            await _fill(endpoint, size, count)
    finally:
        await contender.stop()
    endpoint = await contender.start()
    try:
        await _warm_up(endpoint)
        users = [(0, FIRST_NEW + n) for n in range(count)]
        users += [(size, _user(size, n)) for size in sizes for n in range(count)]
        random.Random(SEED).shuffle(users)
        taken: dict[int, list[float]] = {}
        caller = Caller(endpoint)
        for size, user in users:
            request = endpoint.encode(user, s.one(s.READ_GAME, [1], endpoint.dialect))
            began = time.perf_counter()
            await caller.send(request)
            taken.setdefault(size, []).append((time.perf_counter() - began) * MS)
        await caller.close()
    finally:
        await contender.stop()
    return [
        ActivationFigure(contender.name, size, count, median(values), quantiles(values, n=20)[18])
        for size, values in sorted(taken.items())
    ]


async def measure_memory(contender: Contender, *, count: int) -> MemoryFigure:
    """What `count` small databases add that become active after a restart."""
    endpoint = await contender.start()
    try:
        await _each(endpoint, count, lambda user: populate(user, SMALL, endpoint.dialect, seed=SEED))
    finally:
        await contender.stop()
    endpoint = await contender.start()
    try:
        await _warm_up(endpoint)
        await asyncio.sleep(SETTLE_S)
        before = _bytes(contender)
        await _each(endpoint, count, lambda user: s.one(s.READ_GAME, [1], endpoint.dialect))
        await asyncio.sleep(SETTLE_S)
        after = _bytes(contender)
    finally:
        await contender.stop()
    return MemoryFigure(contender.name, count, (after - before) / count, before)


async def _fill(endpoint: Endpoint, mebibytes: int, count: int) -> None:
    caller = Caller(endpoint)
    for number in range(count):
        user = _user(mebibytes, number)
        await caller.call(user, populate(user, FULL, endpoint.dialect, seed=SEED))
        await caller.call(user, fill_up(mebibytes))
    await caller.close()


async def _warm_up(endpoint: Endpoint) -> None:
    """Code paths and connections, with a user of their own."""
    caller = Caller(endpoint)
    for _ in range(20):
        await caller.call(WARM, s.one(s.READ_GAME, [1], endpoint.dialect))
    await caller.close()


async def _each(endpoint: Endpoint, count: int, body: Any) -> None:
    caller = Caller(endpoint)
    for number in range(count):
        await caller.call(FIRST_SMALL + number, body(FIRST_SMALL + number))
    await caller.close()


def _user(mebibytes: int, number: int) -> int:
    return FIRST_FILLED + 1000 * mebibytes + number


def _bytes(contender: Contender) -> int:
    return sum(private_bytes(pid) for pid in contender.process_ids())
