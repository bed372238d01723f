"""When a snapshot is due, and what it holds. Pure.

A snapshot of slot n is a function of slots 1 to n and of nothing else (rule 9): not of a live image, not of a slot
whose upload is unsettled. So anybody may write it, and two that write the same one write the same pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from storage.log.page import lock_page
from storage.log.segment import Segment


class SnapshotReason(StrEnum):
    """Why a snapshot is due now."""

    BYTES = "the tail outweighs the database"
    SLOTS = "the tail is long"
    AGE = "the last one is old"


def snapshot_due(
    *, tail_bytes: int, database_bytes: int, tail_slots: int, age_s: float, slots_max: int, age_max_s: float
) -> SnapshotReason | None:
    """Why the log needs a snapshot of its last settled slot, or None.

    `tail_bytes`, `tail_slots`: what lies in the bucket behind the newest snapshot. `database_bytes`: size of the image.
    `age_s`: seconds since that snapshot, or since slot 1 where there is none. Without a tail nothing is ever due.
    """
    if tail_slots == 0:
        return None
    if tail_slots >= slots_max:
        return SnapshotReason.SLOTS
    if tail_bytes > database_bytes:
        return SnapshotReason.BYTES
    if age_s >= age_max_s:
        return SnapshotReason.AGE
    return None


def snapshot_segment(
    pages: Sequence[bytes], *, page_size: int, last_slot: int, node_id: int, timestamp_ms: int
) -> Segment:
    """The snapshot of slot `last_slot`: every page of the image, the lock page left out (rule 9)."""
    lock = lock_page(page_size)
    numbered = tuple((number, page) for number, page in enumerate(pages, start=1) if number != lock)
    return Segment(1, last_slot, page_size, len(pages), numbered, node_id, timestamp_ms)
