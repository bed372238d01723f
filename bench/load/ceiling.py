"""What the generator can send, against a server that does nothing else: the bound of everything it measures."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.load.plan import Endpoint, LoadPlan
from bench.load.processes import run_load
from bench.load.schedule import Schedule
from bench.workload.mix import workload

CONNECTIONS = (1, 32)
DURATION_S = 2.0
WARMUP_S = 0.3


@dataclass(frozen=True, slots=True)
class CeilingFigure:
    """One generator process against the echo; `cores` is what the process itself used."""

    connections: int
    rate_per_s: float
    p50_ms: float
    cores: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def measure_ceiling(connections: Sequence[int] = CONNECTIONS) -> list[CeilingFigure]:
    """One figure per number of connections."""
    echo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load.echo"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert echo.stdout is not None
        endpoint = Endpoint(host="127.0.0.1", port=int(await echo.stdout.readline()), path="/v1/users/{user}/sql")
        return [await _measure(endpoint, count) for count in connections]
    finally:
        echo.terminate()
        await echo.wait()


async def _measure(endpoint: Endpoint, connections: int) -> CeilingFigure:
    plan = LoadPlan(
        endpoint=endpoint,
        workload=workload("read"),
        schedule=Schedule(duration_s=DURATION_S, warmup_s=WARMUP_S),
        connections=connections,
        seed=1,
    )
    outcome = await run_load(plan)
    p50_ms = outcome.all_latencies().percentile_ns(50) / 1e6
    return CeilingFigure(connections, outcome.rate_per_s, p50_ms, outcome.cpu_s / outcome.seconds)
