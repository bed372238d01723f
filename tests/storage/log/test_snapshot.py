"""When a snapshot is due, and that it holds every page."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.log.page import lock_page
from storage.log.segment import segment_flaw
from storage.log.snapshot import SnapshotReason, snapshot_due, snapshot_segment
from tests.storage.log.segments import a_page


def due(**changes: Any) -> SnapshotReason | None:
    """A tail of 10 slots and 4 KB behind an hour-old snapshot of 40 KB, unless said otherwise."""
    values = {"tail_bytes": 4_000, "database_bytes": 40_000, "tail_slots": 10, "age_s": 3600.0}
    return snapshot_due(**(values | {"slots_max": 1000, "age_max_s": 86_400.0} | changes))


def test_a_short_young_light_tail_needs_no_snapshot() -> None:
    assert due() is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tail_bytes": 40_001}, SnapshotReason.BYTES),
        ({"tail_slots": 1000}, SnapshotReason.SLOTS),
        ({"age_s": 86_400.0}, SnapshotReason.AGE),
    ],
)
def test_weight_length_and_age_make_one_due(changes: dict[str, Any], reason: SnapshotReason) -> None:
    assert due(**changes) is reason


@pytest.mark.parametrize("changes", [{"tail_bytes": 40_000}, {"tail_slots": 999}, {"age_s": 86_399.0}])
def test_up_to_the_bound_none_is_due(changes: dict[str, Any]) -> None:
    assert due(**changes) is None


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.floats(0, 1e9))
def test_without_a_tail_none_is_ever_due(tail_bytes: int, database_bytes: int, age_s: float) -> None:
    assert due(tail_slots=0, tail_bytes=tail_bytes, database_bytes=database_bytes, age_s=age_s) is None


def test_rule_9_a_snapshot_holds_every_page_of_slots_one_to_n() -> None:
    pages = [a_page(number) for number in range(1, 6)]
    segment = snapshot_segment(pages, page_size=512, last_slot=40, node_id=2, timestamp_ms=5)
    assert (segment.first, segment.last, segment.page_count) == (1, 40, 5)
    assert [page for _, page in segment.pages] == pages
    assert segment_flaw(segment) is None


def test_the_lock_page_stays_out_of_a_snapshot() -> None:
    lock, page = lock_page(65536), bytes(65536)
    segment = snapshot_segment([page] * (lock + 1), page_size=65536, last_slot=1, node_id=1, timestamp_ms=0)
    assert segment_flaw(segment) is None
    assert [number for number, _ in segment.pages[-2:]] == [lock - 1, lock + 1]
