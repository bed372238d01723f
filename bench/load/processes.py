"""Generator processes: started together, released at the same instant, their outcomes merged.

Each is a fresh interpreter, so that nothing of the measuring program's own work delays a request.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import replace

from bench.load.outcome import Outcome
from bench.load.plan import LoadPlan
from bench.load.schedule import NS

START_DELAY_S = 0.05
# Beyond the load's own time: start, making of requests, the end of an open loop.
SLACK_S = 60.0


class GeneratorFailed(Exception):
    """A generator process ended without an outcome."""


async def run_load(plan: LoadPlan, *, processes: int = 1) -> Outcome:
    """Run a plan; connections and rate are divided among the processes. Raises GeneratorFailed."""
    plans = divide(plan, processes)
    async with asyncio.timeout(plan.schedule.warmup_s + plan.schedule.duration_s + SLACK_S):
        children = [await _start() for _ in plans]
        try:
            await asyncio.gather(*(_prepare(child, part) for child, part in zip(children, plans, strict=True)))
            start_ns = time.monotonic_ns() + int(START_DELAY_S * NS)
            outcomes = await asyncio.gather(*(_release(child, start_ns) for child in children))
        finally:
            for child in children:
                if child.returncode is None:
                    child.kill()
                await child.wait()
    merged = Outcome()
    for outcome in outcomes:
        merged.merge(outcome)
    return merged


def divide(plan: LoadPlan, processes: int) -> list[LoadPlan]:
    """Equal shares of the connections and of the rate; never more processes than connections."""
    processes = min(processes, plan.connections)
    rate = plan.schedule.rate_per_s
    schedule = plan.schedule if rate is None else replace(plan.schedule, rate_per_s=rate / processes)
    return [
        replace(
            plan,
            connections=plan.connections // processes + (number < plan.connections % processes),
            schedule=schedule,
            seed=plan.seed * 1000 + number,
        )
        for number in range(processes)
    ]


async def _start() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=64 << 20,
    )


async def _prepare(child: asyncio.subprocess.Process, plan: LoadPlan) -> None:
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(json.dumps(plan.to_json()).encode() + b"\n")
    if (await child.stdout.readline()).strip() != b"ready":
        raise await _failure(child)


async def _release(child: asyncio.subprocess.Process, start_ns: int) -> Outcome:
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(f"{start_ns}\n".encode())
    line = await child.stdout.readline()
    if not line:
        raise await _failure(child)
    return Outcome.from_json(json.loads(line))


async def _failure(child: asyncio.subprocess.Process) -> GeneratorFailed:
    assert child.stderr is not None
    said = (await child.stderr.read()).decode("utf-8", "replace").strip().splitlines()
    return GeneratorFailed(f"a generator process failed: {said[-1] if said else 'without a word'}")
