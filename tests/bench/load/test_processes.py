"""Loads from real generator processes against a small server in this one."""

from __future__ import annotations

import pytest

from bench.load.plan import Endpoint, LoadPlan
from bench.load.processes import GeneratorFailed, divide, run_load
from bench.load.schedule import Schedule
from bench.workload.mix import workload
from tests.bench.load.stalling_server import HANG_UP, OK, REFUSED, stalling_server

STALL_S = 0.6


def a_plan(port: int, *, connections: int = 4, rate_per_s: float | None = None, duration_s: float = 0.5) -> LoadPlan:
    return LoadPlan(
        endpoint=Endpoint(host="127.0.0.1", port=port, path="/{user}"),
        workload=workload("mix"),
        schedule=Schedule(duration_s=duration_s, rate_per_s=rate_per_s, arrivals="even"),
        connections=connections,
        seed=1,
    )


def test_connections_and_rate_are_divided_without_loss() -> None:
    plans = divide(a_plan(1, connections=7, rate_per_s=900.0), 3)
    assert [plan.connections for plan in plans] == [3, 2, 2]
    assert [plan.schedule.rate_per_s for plan in plans] == [300.0] * 3
    assert len({plan.seed for plan in plans}) == 3


def test_no_process_is_without_a_connection() -> None:
    assert len(divide(a_plan(1, connections=2), 5)) == 2


@pytest.mark.system
async def test_two_processes_load_a_server_together() -> None:
    async with stalling_server(lambda count: (0, OK)) as port:
        outcome = await run_load(a_plan(port), processes=2)
    assert outcome.requests > 10 and not outcome.failures
    assert {"list_games", "list_clips", "insert_clip"} <= set(outcome.latencies)


@pytest.mark.system
async def test_an_open_loop_charges_a_stall_to_all_who_would_have_come() -> None:
    """One stall of 0.6 s at 100 requests a second: a closed loop sees one slow request, an open one sees sixty."""
    async with stalling_server(lambda count: (STALL_S if count == 20 else 0, OK)) as port:
        outcome = await run_load(a_plan(port, rate_per_s=100, duration_s=1.5), processes=1)
    latencies = outcome.all_latencies()
    assert outcome.requests == pytest.approx(150, abs=5)
    assert latencies.percentile_ns(100) >= STALL_S * 1e9
    # Half of those that were due during the stall waited for more than half of it.
    assert latencies.percentile_ns(85) >= STALL_S / 4 * 1e9


@pytest.mark.system
async def test_a_closed_loop_sees_the_same_stall_once() -> None:
    async with stalling_server(lambda count: (STALL_S if count == 20 else 0, OK)) as port:
        outcome = await run_load(a_plan(port, connections=1, duration_s=1.5), processes=1)
    latencies = outcome.all_latencies()
    assert latencies.percentile_ns(100) >= STALL_S * 1e9 > 2 * latencies.percentile_ns(99)


@pytest.mark.system
async def test_refusals_and_broken_connections_are_counted_apart_from_latencies() -> None:
    answers = {0: OK, 1: REFUSED, 2: HANG_UP}
    async with stalling_server(lambda count: (0, answers[count % 3])) as port:
        outcome = await run_load(a_plan(port, connections=1), processes=1)
    assert set(outcome.failures) == {"503", "broken"}
    assert outcome.first_failure.endswith("b'busy'") or "closed" in outcome.first_failure
    assert outcome.requests > 0


@pytest.mark.system
async def test_a_server_that_is_not_there_is_an_error_with_its_reason() -> None:
    with pytest.raises(GeneratorFailed, match="refused"):
        await run_load(a_plan(1))
