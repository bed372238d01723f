"""From the bucket to an image: newest snapshot and tail, in parallel, checked, nothing skipped (rule 3)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from actors.database.image import PageImage
from actors.durability.recovery import FETCHES_MAX, Recovered, apply_entry, recover
from storage.errors import CorruptSegment, LogGap, Unavailable
from storage.log.actor_log import Entry
from storage.log.record import Kind, LogState
from storage.log.segment import encode_segment
from storage.log.snapshot import snapshot_segment
from tests.actors.kit import (
    PAGE_SIZE,
    HeldStore,
    VirtualClock,
    a_log,
    a_page,
    a_record,
    a_segment,
    append,
    virtual,
)


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


async def a_written_log(store: HeldStore, count: int = 6) -> None:
    """IMPORT, TAKE, then segments that write page 2 with their slot's number."""
    log = a_log(store)
    await append(log, 1, a_record(Kind.IMPORT, 1, commits=(1, 1)))
    await append(log, 2, a_record(Kind.TAKE, 2, base=1))
    for slot in range(3, count + 1):
        await append(log, slot, a_record(commits=(slot - 1, slot - 1), put_id=f"put {slot}"), {2: slot})


async def recovered(store: HeldStore) -> Recovered:
    log = a_log(store)
    return await recover(log, await log.listing())


async def a_snapshot(store: HeldStore, slot: int, *, mark: int) -> None:
    log = a_log(store)
    entries = [await log.read(number) for number in range(1, slot + 1)]
    state = LogState().advance_all([entry.record for entry in entries])
    pages = [a_page(mark) if number == 2 else a_page(0) for number in range(1, 5)]
    segment = snapshot_segment(pages, page_size=PAGE_SIZE, last_slot=slot, node_id=2, timestamp_ms=1_700_000_000_000)
    await log.put_snapshot(segment, encode_segment(segment), state, put_id="snapshot")


@virtual
async def test_a_log_adds_up_slot_by_slot() -> None:
    store = a_store()
    await a_written_log(store)
    found = await recovered(store)
    assert found.image is not None and found.image.pages == [a_page(0), a_page(6), a_page(0), a_page(0)]
    assert (found.state.last_slot, found.state.last_commit, found.state.epoch_max) == (6, 5, 2)
    assert (found.snapshot_slot, found.tail_slots) == (0, 6)


@virtual
async def test_an_empty_log_has_no_image() -> None:
    found = await recovered(a_store())
    assert found.image is None and found.state == LogState()


@virtual
async def test_recovery_begins_with_the_newest_snapshot_and_reads_only_what_is_behind_it() -> None:
    store = a_store()
    await a_written_log(store)
    await a_snapshot(store, 3, mark=3)
    await a_snapshot(store, 5, mark=5)
    store.sent.clear()
    found = await recovered(store)
    read = [sent.key[-20:-4] for sent in store.sent if sent.name == "get"]
    assert read == ["0000000000000005", "0000000000000006"]
    assert found.image is not None and found.image.pages[1] == a_page(6)
    assert (found.snapshot_slot, found.tail_slots, found.state.last_slot) == (5, 1, 6)


@virtual
async def test_the_state_of_snapshot_and_tail_is_the_state_of_the_whole_log() -> None:
    store = a_store()
    await a_written_log(store)
    whole = await recovered(store)
    await a_snapshot(store, 4, mark=4)
    assert (await recovered(store)).state == whole.state


@virtual
async def test_slots_are_fetched_in_parallel_within_a_bound() -> None:
    store = a_store()
    await a_written_log(store, FETCHES_MAX + 10)
    log = a_log(store)
    listing = await log.listing()
    store.hold("get")
    recovering = asyncio.ensure_future(recover(log, listing))
    for _ in range(20):
        await asyncio.sleep(0)
    assert store.holds == FETCHES_MAX
    while not recovering.done():
        if store.holds:
            await (await store.next_held()).complete()
        await asyncio.sleep(0)
    assert (await recovering).state.last_slot == FETCHES_MAX + 10


@virtual
async def test_a_gap_is_named() -> None:
    store = a_store()
    await a_written_log(store)
    await store.inner.delete(a_log(store).slot_key(4))
    with pytest.raises(LogGap, match="slot 4 is missing, slot 5 exists"):
        await recovered(store)


@virtual
async def test_a_slot_that_was_listed_and_is_gone_is_a_gap() -> None:
    store = a_store()
    await a_written_log(store)
    log = a_log(store)
    listing = await log.listing()
    await store.inner.delete(log.slot_key(4))
    with pytest.raises(LogGap, match="slot 4 was listed and is gone"):
        await recover(log, listing)


@virtual
async def test_a_bucket_that_is_away_is_unavailable_not_a_group_of_errors() -> None:
    store = a_store()
    await a_written_log(store)
    log = a_log(store)
    listing = await log.listing()
    store.broken = "away"
    with pytest.raises(Unavailable):
        await recover(log, listing)


@virtual
async def test_every_flipped_bit_of_a_segment_stops_the_recovery() -> None:
    store = a_store()
    await a_written_log(store, 3)
    key = a_log(store).slot_key(3)
    found = store.inner._objects[key]
    for bit in range(0, 8 * len(found.body), 7):
        body = bytearray(found.body)
        body[bit // 8] ^= 1 << bit % 8
        store.inner._objects[key] = replace(found, body=bytes(body))
        with pytest.raises(CorruptSegment):
            await recovered(store)


@virtual
async def test_a_snapshot_whose_body_is_another_slots_stops_the_recovery() -> None:
    store = a_store()
    await a_written_log(store)
    await a_snapshot(store, 3, mark=3)
    log = a_log(store)
    found = store.inner._objects[log.snapshot_key(3)]
    await store.inner.put(log.snapshot_key(5), found.body, metadata=found.info.metadata)
    with pytest.raises(CorruptSegment, match="holds slots 1-3"):
        await recovered(store)


def an_entry(slot: int, *, page_size: int = PAGE_SIZE, page_count: int = 4, pages: tuple[int, ...] = ()) -> Entry:
    content = tuple((number, a_page(slot, page_size)) for number in pages)
    segment = replace(a_segment(slot, 2, (), page_count=page_count), page_size=page_size, pages=content)
    return Entry(slot, a_record(), segment, 100)


def test_a_record_without_pages_leaves_the_database_as_it_is() -> None:
    image = PageImage(PAGE_SIZE, [a_page(n) for n in range(4)])
    before = image.copy()
    assert apply_entry(image, an_entry(9, page_count=1)).pages == before.pages


def test_a_shrunken_database_is_cut_off_and_grown_pages_are_there() -> None:
    image = PageImage(PAGE_SIZE, [a_page(n) for n in range(4)])
    apply_entry(image, an_entry(9, page_count=2, pages=(1,)))
    assert image.pages == [a_page(9), a_page(1)]
    apply_entry(image, an_entry(10, page_count=4, pages=(3, 4)))
    assert image.pages == [a_page(9), a_page(1), a_page(10), a_page(10)]


def test_another_page_size_is_refused() -> None:
    with pytest.raises(CorruptSegment, match="page size 1024, the log has 512"):
        apply_entry(PageImage(PAGE_SIZE, [a_page(0)]), an_entry(9, page_size=1024, pages=(1,)))
