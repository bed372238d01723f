"""Which snapshot and slots rebuild a state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.log.restore_plan import (
    AtSlot,
    AtTime,
    DatedSlot,
    Latest,
    OutOfReach,
    RestorePlan,
    Target,
    plan_restore,
)
from storage.log.slot import Gap, slot_name, snapshot_name


def dated(*slots: int, late_s: float = 0.0) -> list[DatedSlot]:
    """Slot n was written at second 10 n."""
    return [DatedSlot(slot, 10.0 * slot + late_s) for slot in slots]


def steps(snapshot: int | None, *slots: int) -> RestorePlan:
    end = slots[-1] if slots else snapshot or 0
    return RestorePlan(end, snapshot_name(snapshot) if snapshot else None, tuple(slot_name(slot) for slot in slots))


LOG = (dated(4, 8, late_s=3.0), dated(*range(4, 12)))
"""Snapshots of 4 and 8; slots 1 to 3 are collected; slot 11 is the newest."""


@pytest.mark.parametrize(
    ("target", "plan"),
    [
        (Latest(), steps(8, 9, 10, 11)),
        (AtSlot(11), steps(8, 9, 10, 11)),
        (AtSlot(9), steps(8, 9)),
        (AtSlot(8), steps(8)),
        (AtSlot(7), steps(4, 5, 6, 7)),
        (AtSlot(4), steps(4)),
        (AtTime(1e9), steps(8, 9, 10, 11)),
        (AtTime(110.0), steps(8, 9, 10, 11)),
        (AtTime(109.9), steps(8, 9, 10)),
        (AtTime(89.9), steps(8)),
        (AtTime(79.9), steps(4, 5, 6, 7)),
        (AtTime(40.0), steps(4)),
    ],
    ids=str,
)
def test_the_newest_snapshot_at_or_below_the_target_and_what_follows(target: Target, plan: RestorePlan) -> None:
    assert plan_restore(*LOG, target) == plan


@pytest.mark.parametrize("target", [AtSlot(3), AtSlot(0), AtSlot(12), AtTime(39.9)], ids=str)
def test_a_state_the_log_no_longer_or_not_yet_holds_is_out_of_reach(target: Target) -> None:
    assert plan_restore(*LOG, target) == OutOfReach(4, 11)


@pytest.mark.parametrize("target", [Latest(), AtSlot(1), AtTime(1e9)], ids=str)
def test_an_empty_log_holds_no_state(target: Target) -> None:
    assert plan_restore([], [], target) == OutOfReach(None, None)


def test_slots_that_do_not_begin_at_one_and_have_no_snapshot_are_a_gap() -> None:
    assert plan_restore([], dated(5, 6), Latest()) == Gap(1, 5)


def test_without_a_snapshot_a_restore_begins_with_slot_one() -> None:
    assert plan_restore([], dated(1, 2, 3), Latest()) == steps(None, 1, 2, 3)


def test_a_snapshot_alone_is_enough() -> None:
    assert plan_restore(dated(4), [], Latest()) == steps(4)
    assert plan_restore(dated(4), [], AtTime(40.0)) == steps(4)


@pytest.mark.parametrize("target", [Latest(), AtSlot(9)], ids=str)
def test_a_missing_slot_on_the_way_is_a_gap_and_is_never_skipped(target: Target) -> None:
    assert plan_restore(dated(4), dated(4, 5, 7, 8, 9), target) == Gap(6, 7)
    assert plan_restore(dated(4), dated(4, 5, 7, 8, 9), AtSlot(5)) == steps(4, 5)


def test_a_missing_target_slot_is_a_gap() -> None:
    assert plan_restore(dated(4), dated(4, 5, 7), AtSlot(6)) == Gap(6, 7)


def test_a_slot_written_later_ends_the_run_even_when_its_successors_clock_was_behind() -> None:
    slots = [DatedSlot(1, 10.0), DatedSlot(2, 50.0), DatedSlot(3, 30.0)]
    assert plan_restore([], slots, AtTime(40.0)) == steps(None, 1)


@given(
    st.sets(st.integers(1, 30), max_size=4),
    st.integers(1, 30),
    st.integers(0, 30),
    st.permutations(range(3)),
    st.data(),
)
def test_a_plan_always_covers_slots_one_to_its_target_once(
    snapshots: set[int], first: int, count: int, order: list[int], data: st.DataObject
) -> None:
    slots = list(range(first, first + count))
    target = data.draw(st.builds(AtSlot, st.integers(0, 70)) | st.builds(AtTime, st.floats(0, 700)) | st.just(Latest()))
    found = plan_restore(dated(*sorted(snapshots, key=lambda slot: slot % 3)), dated(*reversed(slots)), target)
    if isinstance(found, RestorePlan):
        base = found.snapshot.last if found.snapshot else 0
        assert base == 0 or base in snapshots
        assert [name.last for name in found.slots] == list(range(base + 1, found.slot + 1))
        assert {name.last for name in found.slots} <= set(slots)
    elif isinstance(found, Gap):
        assert found.missing not in slots
