"""From the bucket to an image: newest snapshot plus tail, fetched in parallel, checked, applied in order (rule 3).

A gap, a wrong checksum or a segment that does not fit stops the activation with its error; nothing is skipped.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from actors.database.image import CommitPages, PageImage
from storage.errors import CorruptSegment, LogGap, ObjectNotFound
from storage.log.actor_log import ActorLog, Entry, Listing, SlotRef
from storage.log.record import LogState

FETCHES_MAX = 16


@dataclass(frozen=True, slots=True)
class Recovered:
    """The log as read. `image` is None for an empty log.

    `tail_bytes` and `tail_slots` count what lies behind the snapshot, `base_ms` is the snapshot's (or first slot's)
    own timestamp: all three feed the snapshot policy only.
    """

    image: PageImage | None
    state: LogState
    snapshot_slot: int
    tail_bytes: int
    tail_slots: int
    base_ms: int
    listed_at: float

    def with_entry(self, entry: Entry) -> Recovered:
        """One more slot, applied to the image in place."""
        image = apply_entry(self.image, entry)
        return replace(
            self,
            image=image,
            state=self.state.advance(entry.record),
            tail_bytes=self.tail_bytes + entry.size,
            tail_slots=self.tail_slots + 1,
            base_ms=self.base_ms or entry.segment.timestamp_ms,
        )


async def recover(log: ActorLog, listing: Listing) -> Recovered:
    """Rebuild from what was listed. Raises CorruptSegment, LogGap, Unavailable."""
    gate = asyncio.Semaphore(FETCHES_MAX)
    try:
        async with asyncio.TaskGroup() as group:
            snapshot = group.create_task(log.read_snapshot(listing.snapshot)) if listing.snapshot else None
            reads = [group.create_task(_read(log, ref, gate)) for ref in listing.slots]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None  # one fetch that failed ended the others
    recovered = Recovered(None, LogState(), 0, 0, 0, 0, listing.listed_at)
    if snapshot is not None:
        segment, state = snapshot.result()
        image = apply_pages(None, segment.page_size, CommitPages(segment.page_count, segment.pages))
        recovered = replace(
            recovered, image=image, state=state, snapshot_slot=state.last_slot, base_ms=segment.timestamp_ms
        )
    for read in reads:
        recovered = recovered.with_entry(read.result())
    return recovered


def apply_entry(image: PageImage | None, entry: Entry) -> PageImage:
    """One slot onto an image, in place; the first one makes it. Raises CorruptSegment where it does not fit."""
    segment = entry.segment
    if image is not None and segment.page_size != image.page_size:
        raise CorruptSegment(f"slot {entry.slot}: page size {segment.page_size}, the log has {image.page_size}")
    if not segment.pages and image is not None:
        return image  # a record without pages says nothing about the database
    return apply_pages(image, segment.page_size, CommitPages(segment.page_count, segment.pages))


def apply_pages(image: PageImage | None, page_size: int, pages: CommitPages) -> PageImage:
    """Pages onto an image, in place; None starts an empty one."""
    target = image if image is not None else PageImage.empty(page_size)
    target.apply(pages)
    return target


async def _read(log: ActorLog, ref: SlotRef, gate: asyncio.Semaphore) -> Entry:
    async with gate:
        try:
            return await log.read(ref.slot)
        except ObjectNotFound as error:
            raise LogGap(f"log of {log.address}: slot {ref.slot} was listed and is gone") from error
