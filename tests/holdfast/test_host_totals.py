"""Sums over hosts that come and go."""

from __future__ import annotations

import pytest

from gateway.parts import Sample
from holdfast import host_totals
from holdfast.host_totals import HostTotals, in_turn


def fences(count: float) -> list[Sample]:
    return [("holdfast_fences_total", {}, count)]


def values(totals: HostTotals, group: str = "") -> dict[str, float]:
    return {name + "".join(labels.values()): value for name, labels, value in totals.samples(group=group)}


def test_counters_of_several_hosts_are_added_up() -> None:
    totals = HostTotals()
    totals.take("a", fences(2))
    totals.take("b", fences(3))
    totals.take("a", fences(5))
    assert values(totals) == {"holdfast_fences_total": 8}


def test_a_counter_goes_on_after_its_host_began_again_or_ended() -> None:
    totals = HostTotals()
    totals.take("a", fences(5))
    totals.take("a", fences(1))
    totals.lose("a")
    totals.forget("a")
    assert values(totals) == {"holdfast_fences_total": 6}


def test_a_host_that_was_silent_for_a_scrape_is_not_counted_twice() -> None:
    totals = HostTotals()
    totals.take("a", fences(5))
    totals.lose("a")
    totals.take("a", fences(6))
    assert values(totals) == {"holdfast_fences_total": 6}


def test_histograms_are_added_bucket_by_bucket() -> None:
    totals = HostTotals()
    for host in "ab":
        totals.take(host, [("w_bucket", {"le": "1"}, 2), ("w_bucket", {"le": "+Inf"}, 3), ("w_sum", {}, 1.5)])
    assert values(totals) == {"w_bucket1": 4, "w_bucket+Inf": 6, "w_sum": 3}


def test_of_gauges_the_sum_and_of_times_the_longest() -> None:
    totals = HostTotals()
    totals.take("a", [("holdfast_unflushed_bytes", {}, 10), ("holdfast_flush_lag_seconds", {}, 4)])
    totals.take("b", [("holdfast_unflushed_bytes", {}, 5), ("holdfast_flush_lag_seconds", {}, 1)])
    assert values(totals) == {"holdfast_unflushed_bytes": 15, "holdfast_flush_lag_seconds": 4}
    totals.lose("a")
    assert values(totals) == {"holdfast_unflushed_bytes": 5, "holdfast_flush_lag_seconds": 1}


def test_a_group_is_a_label() -> None:
    totals = HostTotals()
    totals.take("host/1", fences(2))
    assert totals.samples(group="host/1") == [("holdfast_fences_total", {"host": "host/1"}, 2)]


def test_the_hosts_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_totals, "HOSTS_KEPT_MAX", 2)
    totals = HostTotals()
    for host in "abc":
        totals.take(host, [*fences(1), ("holdfast_live_activations", {}, 1)])
    assert values(totals) == {"holdfast_fences_total": 3, "holdfast_live_activations": 2}


def test_everybody_is_asked_in_turn() -> None:
    names = ["a", "b", "c", "d", "e"]
    assert in_turn(names, "", 2) == ["a", "b"]
    assert in_turn(names, "b", 2) == ["c", "d"]
    assert in_turn(names, "d", 2) == ["e", "a"]
    assert in_turn(["a"], "d", 9) == ["a"]
