"""Rule 11: what may be deleted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import InvalidRequest
from storage.log.collect import CollectPlan, ListedSnapshot, plan_collect
from storage.log.slot import slot_name, snapshot_name

DAY_S = 86_400.0
NOW = 100 * DAY_S

LISTED = st.lists(
    st.builds(ListedSnapshot, st.integers(1, 60), st.floats(NOW - 5 * DAY_S, NOW + DAY_S), st.booleans()),
    max_size=8,
    unique_by=lambda each: each.slot,
)
SLOTS = st.sets(st.integers(1, 70))
RETENTION = st.floats(DAY_S, 4 * DAY_S)


def plan(snapshots: list[ListedSnapshot], slots: set[int], retention_s: float = 2 * DAY_S) -> CollectPlan:
    return plan_collect(snapshots, slots, store_time=NOW, retention_s=retention_s)


def test_rule_11_everything_below_the_newest_old_verified_snapshot_goes_lowest_first() -> None:
    snapshots = [
        ListedSnapshot(10, NOW - 9 * DAY_S, True),
        ListedSnapshot(20, NOW - 5 * DAY_S, True),
        ListedSnapshot(30, NOW - 4 * DAY_S, False),
        ListedSnapshot(40, NOW - 1 * DAY_S, True),
    ]
    found = plan(snapshots, set(range(15, 45)))
    assert found.keep == 20
    assert found.slots == tuple(slot_name(slot) for slot in range(15, 20))
    assert found.snapshots == (snapshot_name(10),)
    assert found.deletions == (*found.slots, *found.snapshots)


@pytest.mark.parametrize(
    "snapshot",
    [ListedSnapshot(10, NOW - 5 * DAY_S, False), ListedSnapshot(10, NOW - 2 * DAY_S, True)],
    ids=["unverified", "young"],
)
def test_rule_11_nothing_goes_without_an_old_verified_snapshot(snapshot: ListedSnapshot) -> None:
    assert plan([snapshot], set(range(1, 50))) == CollectPlan(None, (), ())


@pytest.mark.parametrize("retention_s", [0.0, DAY_S - 1, -DAY_S])
def test_rule_11_less_than_a_day_of_retention_is_refused(retention_s: float) -> None:
    with pytest.raises(InvalidRequest, match="24 h"):
        plan([], set(), retention_s)


@given(LISTED, SLOTS, RETENTION)
def test_rule_11_holds_for_any_log(snapshots: list[ListedSnapshot], slots: set[int], retention_s: float) -> None:
    found = plan(snapshots, slots, retention_s)
    keepers = [each.slot for each in snapshots if each.verified and NOW - each.modified_at > retention_s]
    if not keepers:
        assert found == CollectPlan(None, (), ())
        return
    assert found.keep == max(keepers)
    assert list(found.slots) == [slot_name(slot) for slot in sorted(slots) if slot < found.keep]
    assert list(found.snapshots) == [
        snapshot_name(each) for each in sorted(s.slot for s in snapshots) if each < found.keep
    ]


@given(LISTED, SLOTS, RETENTION, st.data())
def test_rule_11_a_collector_that_dies_anywhere_leaves_no_gap_and_every_younger_state(
    snapshots: list[ListedSnapshot], extra: set[int], retention_s: float, data: st.DataObject
) -> None:
    newest = max([*(each.slot for each in snapshots), *extra], default=0)
    slots = set(range(1, newest + 1))
    found = plan(snapshots, slots, retention_s)
    done = data.draw(st.integers(0, len(found.deletions)))
    left = slots - {name.last for name in found.deletions[:done] if name.level == 0}
    assert sorted(left) == list(range(min(left), newest + 1)) if left else newest == 0
    if found.keep is not None:
        assert found.keep in left
        gone = {name.last for name in found.deletions if name.level == 9}
        assert all(each.slot not in gone for each in snapshots if each.slot >= found.keep)
