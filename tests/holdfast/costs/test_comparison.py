"""Bills and break-even points, beside the table of the plan."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.costs.comparison import actor_bill, break_even_requests_day, planned_break_even, r2_bill
from holdfast.costs.prices import PLANNED, R2
from holdfast.costs.traffic import Operations, Pace, Traffic, actor_operations, flushes_day
from storage.errors import InvalidRequest

PLAIN = Traffic(size_bytes=1e6, requests_day=10, write_share=0.0)


def test_the_plans_prices_are_r2s() -> None:
    assert (PLANNED.r2_storage_gb_month, PLANNED.r2_reads_million) == (R2.storage_gb_month, R2.class_b_million)


def test_the_plans_ten_requests_a_day_hold_for_a_megabyte_and_one_write_in_twenty() -> None:
    assert planned_break_even(replace(PLAIN, write_share=0.05)) == pytest.approx(10.5, abs=0.1)
    assert planned_break_even(PLAIN) == pytest.approx(17.1, abs=0.1)
    assert planned_break_even(replace(PLAIN, size_bytes=1e7)) == pytest.approx(171, abs=1)


def test_r2_mode_pays_a_get_for_every_request_and_a_put_for_every_write() -> None:
    bill = r2_bill(Traffic(size_bytes=1e9, requests_day=100, write_share=0.25))
    assert bill.operations == Operations(class_a=750, class_b=3000)
    assert bill.dollars == pytest.approx(0.015 + 750 * 4.5e-6 + 3000 * 0.36e-6)


def test_writes_of_one_interval_share_a_put() -> None:
    busy = Traffic(requests_day=1e6, write_share=1.0, active_s=3600)
    assert flushes_day(busy, Pace(flush_interval_s=5)) == pytest.approx(720)
    assert flushes_day(replace(busy, requests_day=3), Pace()) == pytest.approx(3, abs=0.01)


def test_a_single_machine_needs_no_looks() -> None:
    reads = Traffic(requests_day=1000, write_share=0.0)
    assert actor_operations(reads, Pace(looks=True)).class_b > actor_operations(reads, Pace(looks=False)).class_b


def test_the_break_even_is_where_both_cost_the_same() -> None:
    traffic = Traffic(write_share=0.2)
    point = break_even_requests_day(traffic, Pace())
    assert point is not None
    at = replace(traffic, requests_day=point)
    assert r2_bill(at).dollars == pytest.approx(actor_bill(at, Pace()).dollars, rel=1e-6)
    more = replace(traffic, requests_day=point * 2)
    assert r2_bill(more).dollars > actor_bill(more, Pace()).dollars


def test_an_actor_that_never_pays_has_no_break_even() -> None:
    huge = Traffic(size_bytes=1e12, write_share=0.0, active_s=1e9, activations=1e9)
    assert break_even_requests_day(huge, Pace(ttl_s=1e-9)) is None


@given(st.floats(0, 1e6), st.floats(0, 1), st.floats(0, 86_400), st.floats(0, 100))
def test_counts_are_never_negative_and_never_more_than_their_cause(
    requests: float, share: float, active_s: float, sessions: float
) -> None:
    traffic = Traffic(requests_day=requests, write_share=share, active_s=active_s, activations=sessions)
    flushes = flushes_day(traffic, Pace())
    assert 0 <= flushes <= traffic.writes_day + 1e-6
    found = actor_operations(traffic, Pace())
    assert found.class_a >= 0 and found.class_b >= 0


@pytest.mark.parametrize("wrong", [{"write_share": 1.5}, {"size_bytes": -1.0}, {"requests_day": float("nan")}])
def test_impossible_traffic_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest):
        Traffic(**wrong).validate()
