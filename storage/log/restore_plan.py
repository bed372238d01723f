"""Which snapshot and which slots rebuild a database as it was: now, at a slot, or at a time. Pure.

A restore goes to the end of a slot. A time means the last slot written by then: slots count in order, and the first one
written later ends the run, so that a slot whose clock was behind is never taken without its predecessors.
Nothing is skipped: a missing slot on the way is a `Gap`, a target outside what the log still holds is `OutOfReach`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from storage.log.slot import Gap, SegmentName, check_contiguous, slot_name, snapshot_name


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest state the log holds."""


@dataclass(frozen=True, slots=True)
class AtSlot:
    """The state at the end of slot `slot`."""

    slot: int


@dataclass(frozen=True, slots=True)
class AtTime:
    """The state at `at_s`, Unix seconds: the end of the last slot written by then."""

    at_s: float


Target = Latest | AtSlot | AtTime


@dataclass(frozen=True, slots=True)
class DatedSlot:
    """A slot or a snapshot's slot, and when it was written (Unix seconds, the segment's timestamp or the listing's)."""

    slot: int
    at_s: float


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """Apply `slots` in order on top of `snapshot` (None: on nothing) to reach the end of slot `slot`."""

    slot: int
    snapshot: SegmentName | None
    slots: tuple[SegmentName, ...]


@dataclass(frozen=True, slots=True)
class OutOfReach:
    """The log holds states `oldest` to `newest` (slots; None: none at all), and the target is not among them."""

    oldest: int | None
    newest: int | None


def plan_restore(
    snapshots: Sequence[DatedSlot], slots: Sequence[DatedSlot], target: Target
) -> RestorePlan | Gap | OutOfReach:
    """The plan for `target`, from the listed snapshots and slots in any order."""
    snapshots = sorted(snapshots, key=lambda each: each.slot)
    slots = sorted(slots, key=lambda each: each.slot)
    if slots and not snapshots and slots[0].slot != 1:
        return Gap(1, slots[0].slot)
    reach = _reach(snapshots, slots)
    end = _end_slot(snapshots, slots, target)
    if end is None or reach.oldest is None or reach.newest is None or not reach.oldest <= end <= reach.newest:
        return reach
    base = max((each.slot for each in snapshots if each.slot <= end), default=0)
    tail = [each.slot for each in slots if base < each.slot <= end]
    run = check_contiguous(tail, base)
    if isinstance(run, Gap):
        return run
    if run.last != end:
        return Gap(run.last + 1, reach.newest)
    return RestorePlan(end, snapshot_name(base) if base else None, tuple(slot_name(slot) for slot in tail))


def _reach(snapshots: Sequence[DatedSlot], slots: Sequence[DatedSlot]) -> OutOfReach:
    """Oldest and newest state. The oldest is slot 1's, or the oldest snapshot's once slot 1 is collected."""
    newest = max((each.slot for each in (*slots[-1:], *snapshots[-1:])), default=None)
    if slots and slots[0].slot == 1:
        return OutOfReach(1, newest)
    return OutOfReach(snapshots[0].slot, newest) if snapshots else OutOfReach(None, None)


def _end_slot(snapshots: Sequence[DatedSlot], slots: Sequence[DatedSlot], target: Target) -> int | None:
    if isinstance(target, AtSlot):
        return target.slot
    if isinstance(target, Latest):
        return max((each.slot for each in (*slots, *snapshots)), default=None)
    written = takewhile(lambda each: each.at_s <= target.at_s, slots)
    covered = (each for each in snapshots if each.at_s <= target.at_s)
    return max((each.slot for each in (*written, *covered)), default=None)
