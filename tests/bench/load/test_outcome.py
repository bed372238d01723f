"""Outcomes of several processes become one."""

from __future__ import annotations

import json
from collections import Counter

from bench.load.outcome import Outcome


def an_outcome(kind: str, *latencies_ns: int, **values: object) -> Outcome:
    outcome = Outcome(**{"seconds": 2.0, "cpu_s": 0.5, **values})  # type: ignore[arg-type]
    for latency in latencies_ns:
        outcome.histogram(kind).record(latency)
    return outcome


def test_merged_outcomes_add_up_over_the_same_time() -> None:
    merged = an_outcome("read", 10, 20, failures=Counter({"503": 1}), late_ns_max=5)
    merged.merge(an_outcome("write", 30, failures=Counter({"503": 2, "broken": 1}), late_ns_max=9, unsent=4))
    assert (merged.requests, merged.seconds, merged.cpu_s, merged.rate_per_s) == (3, 2.0, 1.0, 1.5)
    assert merged.failures == {"503": 3, "broken": 1}
    assert (merged.late_ns_max, merged.unsent) == (9, 4)
    assert merged.all_latencies().percentile_ns(100) == 30


def test_the_first_failure_that_was_seen_is_kept() -> None:
    merged = an_outcome("read")
    merged.merge(an_outcome("read", first_failure="a"))
    merged.merge(an_outcome("read", first_failure="b"))
    assert merged.first_failure == "a"


def test_an_outcome_survives_json() -> None:
    outcome = an_outcome("read", 1, 2, 3, failures=Counter({"500": 2}), first_failure="x", unsent=1)
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome
