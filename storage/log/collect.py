"""What may be deleted from a log (rule 11). Pure.

S is the newest *verified* snapshot that is itself older than the retention time. Slots below S.n go, lowest first, so
that a collector that dies half-way leaves no gap above what is left; then the snapshots below S. Slot S.n stays, and so
do S and everything newer, verified or not.

The age is the snapshot's, never the slot's: a recovery that is under way may be reading old slots that a fresh snapshot
has just covered, and a put-if-absent forgets deleted slots, so a writer that slept must find its slot taken. Ages are
measured against the store's own clock alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from storage.errors import InvalidRequest
from storage.log.slot import SegmentName, slot_name, snapshot_name

RETENTION_S_MIN = 86_400.0


@dataclass(frozen=True, slots=True)
class ListedSnapshot:
    """A snapshot as listed: of slot `slot`, last changed at `modified_at` (the store's Unix time, seconds).

    `verified`: somebody rebuilt it from the bucket and it held.
    """

    slot: int
    modified_at: float
    verified: bool


@dataclass(frozen=True, slots=True)
class CollectPlan:
    """Delete `slots`, then `snapshots`, each in the order given. `keep` is S's slot; without S nothing is deleted."""

    keep: int | None
    slots: tuple[SegmentName, ...]
    snapshots: tuple[SegmentName, ...]

    @property
    def deletions(self) -> tuple[SegmentName, ...]:
        """Everything to delete, in order."""
        return self.slots + self.snapshots


def plan_collect(
    snapshots: Iterable[ListedSnapshot], slots: Iterable[int], *, store_time: float, retention_s: float
) -> CollectPlan:
    """What rule 11 lets go. `InvalidRequest` when `retention_s` is under 24 h."""
    if retention_s < RETENTION_S_MIN:
        raise InvalidRequest(f"retention of {retention_s:g} s, at least {RETENTION_S_MIN:g} s (24 h) is needed")
    listed = list(snapshots)
    old = [each.slot for each in listed if each.verified and store_time - each.modified_at > retention_s]
    if not old:
        return CollectPlan(None, (), ())
    keep = max(old)
    return CollectPlan(
        keep,
        tuple(slot_name(slot) for slot in sorted(slots) if slot < keep),
        tuple(snapshot_name(slot) for slot in sorted(each.slot for each in listed) if slot < keep),
    )
