"""Names of segments and gaps between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.layout.address import Address
from storage.layout.keys import hint_key, log_prefix, orphan_prefix, segment_key
from storage.log.slot import (
    Contiguous,
    ForeignName,
    Gap,
    SegmentName,
    check_contiguous,
    parse_segment_key,
    parse_segment_path,
    slot_name,
    snapshot_name,
)

ADDRESS = Address.parse("42", "default")
SLOTS = st.integers(1, (1 << 64) - 1)


@given(SLOTS)
def test_names_of_slots_and_snapshots_survive_the_round_trip(slot: int) -> None:
    prefix = log_prefix("dev", ADDRESS)
    for name in (slot_name(slot), snapshot_name(slot)):
        key = segment_key("dev", ADDRESS, name.level, name.first, name.last)
        assert key == prefix + name.path
        assert parse_segment_path(key.removeprefix(prefix)) == name
        assert parse_segment_key(key.rpartition("/")[2]) == (name.first, name.last)


@given(SLOTS, SLOTS)
def test_names_sort_in_the_order_of_their_slots(one: int, other: int) -> None:
    assert (slot_name(one).path < slot_name(other).path) == (one < other)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("0000/0000000000000005-0000000000000009.ltx", "a range at level 0"),
        ("0009/0000000000000002-0000000000000009.ltx", "a snapshot from slot 2"),
        ("0001/0000000000000001-0000000000000009.ltx", "level 1"),
        ("0010/0000000000000001-0000000000000001.ltx", "level 16"),
        ("0/0000000000000001-0000000000000001.ltx", "not the name"),
        ("ltx/0/0000000000000001-0000000000000001.ltx", "not the name"),
        ("0000/0000000000000001-0000000000000001.ltx.tmp", "not the name"),
        ("0000/0000000000000001-0000000000000001.ltx\n", "not the name"),
        ("0000/000000000000000A-000000000000000A.ltx", "not the name"),
        ("0000/1-1.ltx", "not the name"),
        ("0000/0000000000000000-0000000000000000.ltx", "not the name"),
        ("0000/0000000000000009-0000000000000005.ltx", "not the name"),
        ("0000/sub/0000000000000001-0000000000000001.ltx", "not the name"),
        ("0000/", "not the name"),
        ("", "not the name"),
    ],
)
def test_a_foreign_name_is_told_apart_and_says_why(path: str, reason: str) -> None:
    found = parse_segment_path(path)
    assert isinstance(found, ForeignName)
    assert found.path == path
    assert reason in found.reason


def test_the_hint_and_orphans_are_foreign() -> None:
    prefix = log_prefix("dev", ADDRESS)
    for key in (hint_key("dev", ADDRESS), orphan_prefix("dev", ADDRESS) + "claim"):
        assert isinstance(parse_segment_path(key.removeprefix(prefix)), ForeignName)


@given(st.text(max_size=60))
def test_no_other_text_is_a_segment(path: str) -> None:
    found = parse_segment_path(path)
    assert isinstance(found, ForeignName) or found.path == path


@given(st.integers(0, 50), st.integers(0, 20), st.integers(0, 10))
def test_a_run_without_a_gap_is_contiguous(after: int, count: int, earlier: int) -> None:
    first = max(1, after + 1 - earlier)
    assert check_contiguous(range(first, after + count + 1), after) == Contiguous(after, after + count)


@given(st.integers(0, 50), st.integers(2, 20), st.data())
def test_any_missing_slot_inside_is_found(after: int, count: int, data: st.DataObject) -> None:
    slots = list(range(after + 1, after + count + 1))
    missing = data.draw(st.sampled_from(slots[:-1]))
    slots.remove(missing)
    assert check_contiguous(slots, after) == Gap(missing, missing + 1)


def test_a_gap_reads_as_a_sentence() -> None:
    assert str(Gap(7, 9)) == "slot 7 is missing, slot 9 exists"
    assert SegmentName(0, 7, 7) == slot_name(7)
