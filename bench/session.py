"""Contenders side by side: all running, each filled with the same rows, measured in turns, round after round.

The order turns by one with every round, so that nobody is always first after a pause. A contender that cannot be
installed is left out with a note; one that fails in the middle is left out from there on, with a note too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.effort import Effort
from bench.load.plan import Endpoint, LoadPlan
from bench.load.processes import GeneratorFailed, run_load
from bench.machine import median_sync_ms
from bench.measurement import Measurement
from bench.peers.child import PeerFailed
from bench.peers.contender import Caller, Contender, RequestRefused
from bench.process_table import cpu_seconds
from bench.scenario import Scenario
from bench.workload.population import populate
from storage.errors import HoldfastError

POPULATE_CALLERS = 8
SEED = 20_260_901
FAILURES = (GeneratorFailed, PeerFailed, RequestRefused, HoldfastError, OSError, TimeoutError)


@dataclass(slots=True)
class Session:
    """One group of contenders and what was measured of them. `folder` lies on the disk that all of them use."""

    contenders: Sequence[Contender]
    scenarios: Sequence[Scenario]
    effort: Effort
    folder: Path
    note: Callable[[str], None]
    measurements: list[Measurement] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    _endpoints: dict[str, Endpoint] = field(default_factory=dict)

    async def run(self) -> None:
        """Start, fill, measure, stop."""
        started: list[Contender] = []
        try:
            for contender in self.contenders:
                if await self._start(contender, started):
                    self.note(f"{contender.name}: ready")
            for number in range(self.effort.rounds):
                await self._round(number, started)
        finally:
            for contender in started:
                await contender.stop()

    async def _start(self, contender: Contender, started: list[Contender]) -> bool:
        missing = contender.missing()
        if missing is not None:
            self._leave_out(contender, missing)
            return False
        try:
            endpoint = await contender.start()
            started.append(contender)
            await fill(endpoint, self.scenarios)
        except FAILURES as error:
            self._leave_out(contender, str(error) or type(error).__name__)
            return False
        self._endpoints[contender.name] = endpoint
        return True

    async def _round(self, number: int, started: Sequence[Contender]) -> None:
        turn = number % len(started) if started else 0
        for scenario in self.scenarios:
            for contender in [*started[turn:], *started[:turn]]:
                if contender.name in self._endpoints:
                    await self._measure(number, scenario, contender)

    async def _measure(self, number: int, scenario: Scenario, contender: Contender) -> None:
        effort = self.effort
        plan = LoadPlan(
            endpoint=self._endpoints[contender.name],
            workload=scenario.workload,
            schedule=scenario.schedule(warmup_s=effort.warmup_s, duration_s=effort.duration_s),
            connections=scenario.connections,
            seed=SEED + number,
        )
        sync_ms = median_sync_ms(self.folder)
        spent_before = _cpu_seconds(contender)
        try:
            outcome = await run_load(plan, processes=effort.generators)
        except FAILURES as error:
            del self._endpoints[contender.name]
            self._leave_out(contender, f"failed in round {number + 1} of {scenario.name}: {error}")
            return
        span_s = effort.warmup_s + effort.duration_s
        found = Measurement(
            scenario=scenario.name,
            contender=contender.name,
            round=number,
            outcome=outcome,
            cpu_s=(_cpu_seconds(contender) - spent_before) * effort.duration_s / span_s,
            sync_ms=sync_ms,
        )
        self.measurements.append(found)
        self.note(line_of(found))

    def _leave_out(self, contender: Contender, why: str) -> None:
        self.left_out[contender.name] = why
        self.note(f"{contender.name}: left out, {why}")


async def fill(endpoint: Endpoint, scenarios: Iterable[Scenario]) -> None:
    """Give every user of the scenarios its rows. Raises RequestRefused."""
    waiting = {user: scenario.workload.population for scenario in scenarios for user in scenario.users()}

    async def work() -> None:
        caller = Caller(endpoint)
        try:
            while waiting:
                user, population = waiting.popitem()
                await caller.call(user, populate(user, population, endpoint.dialect, seed=SEED))
        finally:
            await caller.close()

    tasks = [asyncio.create_task(work()) for _ in range(POPULATE_CALLERS)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _cpu_seconds(contender: Contender) -> float:
    return sum(cpu_seconds(pid) for pid in contender.process_ids())


def line_of(measurement: Measurement) -> str:
    """One measurement for people."""
    outcome = measurement.outcome
    latencies = outcome.all_latencies()
    failures = f", FAILED {dict(outcome.failures)} {outcome.first_failure[:160]}" if outcome.failures else ""
    return (
        f"round {measurement.round + 1}, {measurement.scenario}: {measurement.contender} "
        f"{outcome.rate_per_s:,.0f}/s, p50 {latencies.percentile_ns(50) / 1e6:.2f} ms, "
        f"p99 {latencies.percentile_ns(99) / 1e6:.2f} ms, cpu {measurement.cpu_us_per_request:.0f} us/request, "
        f"sync {measurement.sync_ms:.2f} ms{failures}"
    )
