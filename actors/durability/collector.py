"""Deletes what retention lets go (rule 11): slots below the newest verified snapshot that is old enough, lowest first,
then the snapshots below it. Anyone may do it at any time; what is deleted is decided in storage.log.collect.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.database.image import CommitPages, PageImage
from actors.durability.recovery import apply_entry, apply_pages
from storage.errors import CorruptSegment, LogGap, ObjectNotFound
from storage.log.actor_log import ActorLog, SnapshotRef
from storage.log.collect import ListedSnapshot, plan_collect
from storage.log.record import LogState


@dataclass(frozen=True, slots=True)
class Collected:
    """What one run deleted, and the snapshot it rests on (0: none was old enough)."""

    keep: int
    slots: int
    snapshots: int


async def collect(log: ActorLog, *, retention_s: float) -> Collected:
    """One run. A snapshot that does not hold is left alone, and so is everything it would have replaced."""
    snapshots, store_time = await log.list_snapshots()
    old = [ref for ref in snapshots if store_time - ref.modified_at > retention_s]
    verified = await _newest_verified(log, old, snapshots)
    if verified is None:
        return Collected(0, 0, 0)
    slots, store_time = await log.list_slots(0)
    plan = plan_collect(
        [ListedSnapshot(ref.slot, ref.modified_at, verified=ref == verified) for ref in snapshots],
        [ref.slot for ref in slots],
        store_time=store_time,
        retention_s=retention_s,
    )
    for name in plan.deletions:
        await log.delete(name)
    return Collected(plan.keep or 0, len(plan.slots), len(plan.snapshots))


async def _newest_verified(
    log: ActorLog, old: list[SnapshotRef], snapshots: tuple[SnapshotRef, ...]
) -> SnapshotRef | None:
    for ref in reversed(old):
        if await verify_snapshot(log, ref, snapshots):
            return ref
    return None


async def verify_snapshot(log: ActorLog, ref: SnapshotRef, snapshots: tuple[SnapshotRef, ...]) -> bool:
    """Whether the snapshot (pages and state) is what its predecessor, or nothing, and the slots up to it add up to."""
    before = max((each for each in snapshots if each.slot < ref.slot), key=lambda each: each.slot, default=None)
    try:
        segment, state = await log.read_snapshot(ref)
        image: PageImage | None = None
        expected = LogState()
        if before is not None:
            base_segment, expected = await log.read_snapshot(before)
            image = apply_pages(None, base_segment.page_size, CommitPages(base_segment.page_count, base_segment.pages))
        for slot in range(expected.last_slot + 1, ref.slot + 1):
            entry = await log.read(slot)
            image, expected = apply_entry(image, entry), expected.advance(entry.record)
    except (CorruptSegment, LogGap, ObjectNotFound):
        return False
    claimed = apply_pages(None, segment.page_size, CommitPages(segment.page_count, segment.pages))
    return image is not None and image.pages == claimed.pages and state == expected
