"""One actor's log in the bucket: list, read, look, put. The shell around segments, records and keys.

Promises: a slot is written once (`If-None-Match: *`), its body and put-id frozen before the first send and resent
unchanged until settled (rule 1); what is read is checked against the object's MD5, the format's checksum, and its own
name. Decides nothing about ownership.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from storage.clock import Clock
from storage.errors import CorruptObject, CorruptSegment, HoldfastError, LogGap, ObjectNotFound, UnsupportedVersion
from storage.layout.address import Address
from storage.layout.keys import SNAPSHOT_LEVEL, hint_key, level_prefix, segment_key
from storage.log.litestream import TIMESTAMP_KEY, litestream_timestamp
from storage.log.record import (
    METADATA_PREFIX,
    InvalidMetadata,
    LogState,
    Record,
    record_from_metadata,
    record_metadata,
    state_from_text,
    state_text,
)
from storage.log.segment import Segment, decode_segment, encode_segment, verify_body
from storage.log.slot import SegmentName, parse_segment_key
from storage.objects.port import ObjectInfo, ObjectStore, StoredObject
from storage.objects.settle import Settled, Taken, put_settled

STATE_KEY = METADATA_PREFIX + "state"
LIST_PAGE_KEYS = 1000
DECODE_INLINE_BYTES_MAX = 1 << 20
"""A larger body is checked and decoded in a thread: other actors share this event loop."""


@dataclass(frozen=True, slots=True)
class SnapshotRef:
    """A snapshot as listed: the whole database at slot `slot`."""

    slot: int
    key: str
    size: int
    modified_at: float


@dataclass(frozen=True, slots=True)
class SlotRef:
    """A slot as listed."""

    slot: int
    key: str
    size: int
    modified_at: float


@dataclass(frozen=True, slots=True)
class Listing:
    """Newest snapshot and every slot behind it, contiguous. `listed_at`: clock reading when the LIST was sent."""

    snapshot: SnapshotRef | None
    slots: tuple[SlotRef, ...]
    listed_at: float
    store_time: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One slot as read: its record and its pages."""

    slot: int
    record: Record
    segment: Segment
    size: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A slot's object before it is sent: frozen, so that every resend is the same bytes (rule 1)."""

    slot: int
    record: Record
    body: bytes
    metadata: Mapping[str, str]


def draft_slot(slot: int, record: Record, segment: Segment) -> Draft:
    """Encode one slot. The segment's TXIDs must be the slot."""
    assert segment.first == segment.last == slot, f"segment {segment.first}-{segment.last} for slot {slot}"
    metadata = {**record_metadata(record), TIMESTAMP_KEY: litestream_timestamp(segment.timestamp_ms)}
    return Draft(slot, record, encode_segment(segment), metadata)


def draft_mark(slot: int, record: Record, *, page_size: int, page_count: int, timestamp_ms: int) -> Draft:
    """A slot without pages, for a database of `page_count` pages: a record that only says something."""
    return draft_slot(slot, record, Segment(slot, slot, page_size, page_count, (), record.epoch, timestamp_ms))


class ActorLog:
    """The log of one address. Holds no state but its parts."""

    def __init__(self, store: ObjectStore, env: str, address: Address, clock: Clock, rng: random.Random) -> None:
        self.store = store
        self.env = env
        self.address = address
        self._clock = clock
        self._rng = rng

    def slot_key(self, slot: int) -> str:
        return segment_key(self.env, self.address, 0, slot, slot)

    def snapshot_key(self, slot: int) -> str:
        return segment_key(self.env, self.address, SNAPSHOT_LEVEL, 1, slot)

    async def list_snapshots(self) -> tuple[tuple[SnapshotRef, ...], float]:
        """All snapshots, oldest first, and the store's time."""
        prefix = level_prefix(self.env, self.address, SNAPSHOT_LEVEL)
        found, store_time = await self._list(prefix, "")
        refs = [SnapshotRef(last, info.key, info.size, info.modified_at) for first, last, info in found if first == 1]
        return tuple(sorted(refs, key=lambda ref: ref.slot)), store_time

    async def list_slots(self, after: int) -> tuple[tuple[SlotRef, ...], float]:
        """Slots above `after`, ascending, whether contiguous or not, and the store's time."""
        start_after = self.slot_key(after) if after else ""
        found, store_time = await self._list(level_prefix(self.env, self.address, 0), start_after)
        refs = tuple(
            SlotRef(last, info.key, info.size, info.modified_at) for first, last, info in found if first == last
        )
        return refs, store_time

    async def listing(self, *, trusts_hint: bool = False) -> Listing:
        """Rule 3: level 9, then level 0 behind the newest snapshot; contiguous, or `LogGap`.

        `trusts_hint` is a mutant that only tests set (finding 18): begin where `current.json` says.
        """
        listed_at = self._clock.now()
        snapshots, _ = await self.list_snapshots()
        if trusts_hint:
            hinted = await self._hinted_slot()
            snapshots = tuple(ref for ref in snapshots if ref.slot <= hinted)
        newest = snapshots[-1] if snapshots else None
        base = newest.slot if newest else 0
        slots, store_time = await self.list_slots(base)
        for expected, ref in enumerate(slots, start=base + 1):
            if ref.slot != expected:
                raise LogGap(f"log of {self.address}: slot {expected} is missing, slot {ref.slot} exists")
        return Listing(newest, slots, listed_at, store_time)

    async def newest_snapshot(self) -> int:
        """Slot of the newest snapshot, 0 without one (rules 7c and 10)."""
        snapshots, _ = await self.list_snapshots()
        return snapshots[-1].slot if snapshots else 0

    async def absent(self, slot: int) -> bool:
        """One look: whether the slot is still free."""
        try:
            await self.store.head(self.slot_key(slot))
        except ObjectNotFound:
            return True
        return False

    async def read(self, slot: int) -> Entry:
        """One slot, verified. Raises ObjectNotFound, CorruptSegment."""
        key = self.slot_key(slot)
        return await self._entry(slot, await self._get(key))

    async def read_if_present(self, slot: int) -> Entry | None:
        """The slot, or None where it is still free."""
        try:
            return await self.read(slot)
        except ObjectNotFound:
            return None

    async def read_from(self, slot: int) -> list[Entry]:
        """Every slot from `slot` on, up to the first free one."""
        entries: list[Entry] = []
        while (entry := await self.read_if_present(slot + len(entries))) is not None:
            entries.append(entry)
        return entries

    async def read_snapshot(self, ref: SnapshotRef) -> tuple[Segment, LogState]:
        """A snapshot's pages and the log's state at its slot. Raises CorruptSegment."""
        found = await self._get(ref.key)
        segment = await self._decode(found)
        if (segment.first, segment.last) != (1, ref.slot):
            raise CorruptSegment(f"snapshot {ref.key}: holds slots {segment.first}-{segment.last}")
        try:
            state = state_from_text(found.info.metadata[STATE_KEY])
        except (KeyError, InvalidMetadata) as error:
            raise CorruptSegment(f"snapshot {ref.key}: {error}") from error
        if state.last_slot != ref.slot:
            raise CorruptSegment(f"snapshot {ref.key}: its state is of slot {state.last_slot}")
        return segment, state

    async def put(
        self,
        draft: Draft,
        *,
        attempts_max: int | None = None,
        on_failure: Callable[[HoldfastError], None] = lambda error: None,
    ) -> Settled | Taken:
        """Rule 1: send until settled. Never returns while the outcome is unknown; cancel to give up. `on_failure` is
        told of every send that did not settle it."""
        return await put_settled(
            self.store,
            self.slot_key(draft.slot),
            draft.body,
            put_id=draft.record.put_id,
            clock=self._clock,
            rng=self._rng,
            metadata=draft.metadata,
            if_none_match="*",
            attempts_max=attempts_max,
            on_failure=on_failure,
        )

    async def put_snapshot(self, segment: Segment, body: bytes, state: LogState, *, put_id: str) -> bool:
        """Rule 9: never overwrites; False when one of this slot existed."""
        metadata = {
            METADATA_PREFIX + "kind": "snapshot",
            METADATA_PREFIX + "put-id": put_id,
            STATE_KEY: state_text(state),
            TIMESTAMP_KEY: litestream_timestamp(segment.timestamp_ms),
        }
        outcome = await put_settled(
            self.store,
            self.snapshot_key(segment.last),
            body,
            put_id=put_id,
            clock=self._clock,
            rng=self._rng,
            metadata=metadata,
            if_none_match="*",
        )
        return isinstance(outcome, Settled)

    async def delete(self, name: SegmentName) -> None:
        """Remove one object of the log (rule 11 decides which)."""
        await self.store.delete(segment_key(self.env, self.address, name.level, name.first, name.last))

    async def put_hint(self, slot: int) -> None:
        """`current.json`: where the newest snapshot is. Nobody may rely on it."""
        key = hint_key(self.env, self.address)
        await self.store.put(key, b'{"snapshot":%d}' % slot, content_type="application/json")

    async def _hinted_slot(self) -> int:
        try:
            found = await self.store.get(hint_key(self.env, self.address))
        except ObjectNotFound:
            return 0
        return int(msgspec.json.decode(found.body)["snapshot"])

    async def _entry(self, slot: int, found: StoredObject) -> Entry:
        segment = await self._decode(found)
        if (segment.first, segment.last) != (slot, slot):
            raise CorruptSegment(f"segment {found.info.key}: holds slots {segment.first}-{segment.last}")
        try:
            record = record_from_metadata(found.info.metadata)
        except InvalidMetadata as error:
            raise CorruptSegment(f"segment {found.info.key}: {error}") from error
        except UnsupportedVersion as error:
            raise UnsupportedVersion(f"segment {found.info.key}: {error.message}") from error
        if segment.node_id != record.epoch:
            raise CorruptSegment(
                f"segment {found.info.key}: its metadata says epoch {record.epoch}, its body {segment.node_id}"
            )
        return Entry(slot, record, segment, len(found.body))

    async def _get(self, key: str) -> StoredObject:
        try:
            return await self.store.get(key)
        except CorruptObject as error:
            raise CorruptSegment(f"segment {key}: {error.message}") from error

    @staticmethod
    async def _decode(found: StoredObject) -> Segment:
        if len(found.body) <= DECODE_INLINE_BYTES_MAX:
            return _checked_segment(found)
        return await asyncio.to_thread(_checked_segment, found)

    async def _list(self, prefix: str, start_after: str) -> tuple[list[tuple[int, int, ObjectInfo]], float]:
        found: list[tuple[int, int, ObjectInfo]] = []
        while True:
            page = await self.store.list(prefix, start_after=start_after, limit=LIST_PAGE_KEYS)
            for info in page.objects:
                parsed = parse_segment_key(info.key.removeprefix(prefix))
                if parsed is not None:
                    found.append((*parsed, info))
            if page.next_start_after is None:
                return found, page.store_time
            start_after = page.next_start_after


def _checked_segment(found: StoredObject) -> Segment:
    if not found.verified:
        verify_body(found.body, found.info.etag, name=found.info.key)
    return decode_segment(found.body, name=found.info.key)
