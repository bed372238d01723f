"""Due times of an open loop."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from bench.load.schedule import NS, Schedule, arrival_times_ns


@pytest.mark.parametrize("arrivals", ["poisson", "even"])
def test_due_times_rise_within_the_span_at_the_rate_asked_for(arrivals: str) -> None:
    schedule = Schedule(duration_s=20, warmup_s=5, rate_per_s=200, arrivals=arrivals)  # type: ignore[arg-type]
    times = list(arrival_times_ns(schedule, random.Random(1)))
    assert times == sorted(times) and times[0] >= 0 and times[-1] < 25 * NS
    assert len(times) == pytest.approx(5000, rel=0.05)


def test_the_same_seed_gives_the_same_times() -> None:
    schedule = Schedule(duration_s=1, rate_per_s=500)
    first, second = (list(arrival_times_ns(schedule, random.Random(7))) for _ in range(2))
    assert first == second


def test_poisson_arrivals_come_in_clusters_and_even_ones_do_not() -> None:
    def gaps(arrivals: str) -> list[int]:
        schedule = Schedule(duration_s=10, rate_per_s=100, arrivals=arrivals)  # type: ignore[arg-type]
        times = list(arrival_times_ns(schedule, random.Random(3)))
        return [later - earlier for earlier, later in pairwise(times)]

    assert min(gaps("even")) >= NS // 100 - 1
    assert min(gaps("poisson")) < NS // 1000
