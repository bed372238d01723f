"""What happened to a database, slot by slot, as its log tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from storage.errors import CorruptSegment, LogGap
from storage.log.actor_log import ActorLog, SlotRef
from storage.log.record import InvalidMetadata, Record, record_from_metadata


@dataclass(frozen=True, slots=True)
class Moment:
    """One slot: what was written, when (Unix seconds on the store's clock), how large."""

    slot: int
    record: Record
    written_at: float
    size: int


async def newest_moments(log: ActorLog, *, count: int) -> AsyncIterator[Moment]:
    """The newest `count` slots, ascending. Reads metadata alone, no pages. Raises LogGap when there is no log."""
    refs, _ = await log.list_slots(0)
    if not refs:
        raise LogGap(f"log of {log.address}: there is none")
    for ref in refs[-count:]:
        yield await read_moment(log, ref)


async def read_moment(log: ActorLog, ref: SlotRef) -> Moment:
    """One listed slot. Raises CorruptSegment where its metadata is not a record's."""
    info = await log.store.head(ref.key)
    try:
        record = record_from_metadata(info.metadata)
    except InvalidMetadata as error:
        raise CorruptSegment(f"segment {ref.key}: {error}") from error
    return Moment(ref.slot, record, info.modified_at, info.size)
