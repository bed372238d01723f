"""Collection: what goes, in which order, and what stays whatever happens (rule 11)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from actors.durability.collector import collect, verify_snapshot
from actors.settings import ActorSettings
from storage.errors import InvalidRequest, Unavailable
from storage.log.actor_log import STATE_KEY, ActorLog
from storage.log.record import state_from_text, state_text
from storage.log.segment import decode_segment, encode_segment
from tests.actors.kit import FakeDisk, HeldStore, Process, VirtualClock, a_log, log_of, prepared, virtual

DAY = 86_400.0
RETENTION = 2 * DAY
SLOTS, SNAPSHOTS = "/0000/", "/0009/"
SPARSE = ActorSettings(snapshot_slots_max=4, snapshot_age_max_s=30 * DAY)


async def a_long_log(store: HeldStore) -> ActorLog:
    """Snapshots at slots 4, 8 and 12, a day apart, and two slots behind; everything is 0 to 2 days old."""
    actor = await prepared(Process(store, FakeDisk(), settings=SPARSE))
    for number in range(4, 15):
        await actor.write(str(number), durability="r2").reply()
        await asyncio.sleep(1.0)
        if number in (4, 8):
            await VirtualClock().sleep(DAY)
    assert [_slot(key) for key in store.keys(SNAPSHOTS)] == [4, 8, 12]
    store.sent.clear()
    return a_log(store)


def _slot(key: str) -> int:
    return int(key[-20:-4], 16)


def slots(store: HeldStore) -> list[int]:
    return [_slot(key) for key in store.keys(SLOTS)]


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


@virtual
async def test_rule_11_slots_below_the_newest_old_snapshot_go_then_the_snapshots_below_it() -> None:
    store = a_store()
    log = await a_long_log(store)
    await VirtualClock().sleep(1.5 * DAY)
    collected = await collect(log, retention_s=RETENTION)
    assert (collected.keep, collected.slots, collected.snapshots) == (8, 7, 1)
    assert slots(store) == [8, 9, 10, 11, 12, 13, 14]
    assert [_slot(key) for key in store.keys(SNAPSHOTS)] == [8, 12]
    deleted = [sent.key for sent in store.sent if sent.name == "delete"]
    assert [_slot(key) for key in deleted] == [1, 2, 3, 4, 5, 6, 7, 4] and SNAPSHOTS in deleted[-1]


@virtual
async def test_rule_11_the_age_is_the_snapshots_not_the_slots() -> None:
    store = a_store()
    log = await a_long_log(store)
    await VirtualClock().sleep(0.5 * DAY)
    assert (await collect(log, retention_s=RETENTION)).keep == 4, "slots 5 to 7 are old, the snapshot over them is not"


@virtual
async def test_rule_11_nothing_goes_while_no_snapshot_is_old_enough() -> None:
    store = a_store()
    log = await a_long_log(store)
    await collect(log, retention_s=30 * DAY)
    assert slots(store) == list(range(1, 15))


@virtual
async def test_rule_11_less_than_a_day_is_refused() -> None:
    store = a_store()
    log = await a_long_log(store)
    await VirtualClock().sleep(5 * DAY)
    with pytest.raises(InvalidRequest):
        await collect(log, retention_s=DAY - 1)
    assert slots(store) == list(range(1, 15))


async def falsify(store: HeldStore, slot: int, *, pages: bool) -> None:
    """A snapshot that decodes and is wrong: a page, or what it says of the log."""
    key = next(key for key in store.keys(SNAPSHOTS) if _slot(key) == slot)
    found = await store.inner.get(key)
    segment, state = decode_segment(found.body), state_from_text(found.info.metadata[STATE_KEY])
    modified_at = found.info.modified_at
    if pages:
        first = (1, bytes(len(segment.pages[0][1])))
        segment = replace(segment, pages=(first, *segment.pages[1:]))
    else:
        state = replace(state, last_commit=state.last_commit - 1)
    metadata = {**found.info.metadata, STATE_KEY: state_text(state)}
    await store.inner.put(key, encode_segment(segment), metadata=metadata)
    stored = store.inner._objects[key]
    store.inner._objects[key] = replace(stored, info=replace(stored.info, modified_at=modified_at))


@virtual
@pytest.mark.parametrize("pages", [True, False])
async def test_rule_11_a_snapshot_that_does_not_hold_collects_nothing(pages: bool) -> None:
    store = a_store()
    log = await a_long_log(store)
    await VirtualClock().sleep(1.5 * DAY)
    await falsify(store, 8, pages=pages)
    assert (await collect(log, retention_s=RETENTION)).keep == 4
    assert slots(store) == list(range(4, 15)) and len(store.keys(SNAPSHOTS)) == 3


@virtual
@pytest.mark.parametrize("nth", range(8))
async def test_rule_11_a_collector_that_dies_half_way_leaves_no_gap_above_what_is_left(nth: int) -> None:
    store = a_store()
    log = await a_long_log(store)
    await VirtualClock().sleep(1.5 * DAY)
    store.hold("delete")
    collecting = asyncio.ensure_future(collect(log, retention_s=RETENTION))
    for _ in range(nth):
        await (await store.next_held()).complete()
    (await store.next_held()).fail(Unavailable("killed"))
    with pytest.raises(Unavailable):
        await collecting
    assert slots(store) == list(range(min(nth, 7) + 1, 15))
    store.let_go()
    actor = await Process(store, FakeDisk("m2")).activate()
    assert len(await actor.notes()) == 11


@virtual
async def test_the_next_verified_snapshot_clears_up_behind_a_collector_that_died() -> None:
    store = a_store()
    log = await a_long_log(store)
    for slot in (1, 2):
        await store.inner.delete(store.keys(SLOTS)[0])
        assert slot not in slots(store)
    await VirtualClock().sleep(5 * DAY)
    assert (await collect(log, retention_s=RETENTION)).keep == 12
    assert slots(store) == [12, 13, 14]


@virtual
async def test_what_is_left_recovers_to_the_same_rows() -> None:
    store = a_store()
    log = await a_long_log(store)
    await VirtualClock().sleep(5 * DAY)
    await collect(log, retention_s=RETENTION)
    actor = await Process(store, FakeDisk("m9")).activate()
    assert await actor.notes() == [str(number) for number in range(4, 15)]
    assert (await log_of(store)) == []  # slot 1 is gone


@virtual
async def test_verification_reads_everything_anew() -> None:
    store = a_store()
    log = await a_long_log(store)
    snapshots, _ = await log.list_snapshots()
    assert all([await verify_snapshot(log, ref, snapshots) for ref in snapshots])
    await store.inner.delete(log.slot_key(6))
    assert [await verify_snapshot(log, ref, snapshots) for ref in snapshots] == [True, False, True]


@virtual
async def test_an_actor_collects_by_itself_after_a_snapshot() -> None:
    store, clock = a_store(), VirtualClock()
    settings = ActorSettings(snapshot_slots_max=4, retention_s=DAY)
    actor = await prepared(Process(store, FakeDisk(), settings=settings))
    for number in range(12):
        await actor.write(str(number), durability="r2").reply()
        await clock.sleep(0.4 * DAY)
    assert slots(store)[0] > 4 and len(await actor.notes()) == 12
