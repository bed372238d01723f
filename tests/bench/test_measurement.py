"""Medians over rounds, ratios within a round."""

from __future__ import annotations

import pytest

from bench.load.outcome import Outcome
from bench.measurement import Measurement, Spread, latency_ms, rate, ratio, spread


def measured(contender: str, number: int, requests: int, latency_ns: int = 1_000_000) -> Measurement:
    outcome = Outcome(seconds=1.0)
    for _ in range(requests):
        outcome.histogram("read").record(latency_ns)
    return Measurement(scenario="s", contender=contender, round=number, outcome=outcome)


def test_a_slow_spell_of_the_machine_leaves_the_ratio_alone() -> None:
    found = [measured("a", 0, 300), measured("b", 0, 100), measured("a", 1, 30), measured("b", 1, 10)]
    assert ratio(found, "s", "a", "b", rate) == Spread(3.0, 3.0, 3.0)
    assert spread(found, "s", "a", rate) == Spread(165.0, 30.0, 300.0)


def test_a_round_with_one_of_the_two_counts_for_no_ratio() -> None:
    found = [measured("a", 0, 300), measured("b", 1, 100)]
    assert ratio(found, "s", "a", "b", rate) is None


def test_latency_is_read_in_milliseconds() -> None:
    assert spread([measured("a", 0, 5, 2_000_000)], "s", "a", latency_ms(50)) == Spread(2.0, 2.0, 2.0)


def test_what_was_not_measured_has_no_spread() -> None:
    assert spread([], "s", "a", rate) is None
    with pytest.raises(ValueError, match="nothing"):
        Spread.of([])
