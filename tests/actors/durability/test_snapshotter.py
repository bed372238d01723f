"""Snapshots: when, and only of settled slots, equal to slots 1 to n (rule 9)."""

from __future__ import annotations

import asyncio

import pytest

from actors.database.image import PageImage
from actors.durability.recovery import Recovered, apply_entry, recover
from actors.durability.rules import Rules
from actors.settings import ActorSettings
from storage.errors import OutcomeUnknown, Unavailable
from storage.layout.keys import hint_key
from storage.log.actor_log import STATE_KEY
from storage.log.record import LogState, state_from_text
from storage.log.segment import Segment, decode_segment
from tests.actors.kit import ADDRESS, ENV, Actor, FakeDisk, HeldStore, Process, VirtualClock, a_log, log_of, prepared
from tests.actors.virtual_time import virtual

SNAPSHOTS = "/0009/"
FEW = ActorSettings(snapshot_slots_max=4)


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


async def snapshot(store: HeldStore, key: str) -> tuple[Segment, LogState]:
    found = await store.inner.get(key)
    return decode_segment(found.body), state_from_text(found.info.metadata[STATE_KEY])


async def check_snapshots(store: HeldStore) -> int:
    """Every snapshot equals slots 1 to n; how many there are."""
    entries = await log_of(store)
    for key in store.keys(SNAPSHOTS):
        segment, state = await snapshot(store, key)
        image: PageImage | None = None
        for entry in entries[: segment.last]:
            image = apply_entry(image, entry)
        assert image is not None and tuple(enumerate(image.pages, 1)) == segment.pages
        assert state == LogState().advance_all([entry.record for entry in entries[: segment.last]])
    return len(store.keys(SNAPSHOTS))


async def write_and_flush(actor: Actor, *notes: str) -> None:
    for note in notes:
        await actor.write(note, durability="r2").reply()
        await asyncio.sleep(0.1)


@virtual
async def test_rule_9_snapshots_equal_the_slots_up_to_theirs() -> None:
    store = a_store()
    actor = await prepared(Process(store, FakeDisk(), settings=FEW))
    for number in range(30):
        await write_and_flush(actor, f"{number} " * 50)
    assert await check_snapshots(store) == 8


@virtual
async def test_rule_9_a_commit_made_while_the_flush_is_on_its_way_is_not_in_the_snapshot() -> None:
    store = a_store()
    actor = await prepared(Process(store, FakeDisk(), settings=FEW))
    store.hold("put", "/0000/")
    flushing = actor.write("in slot 4", durability="r2")
    put = await store.next_held()
    actor.write("later", durability="memory")
    await put.complete()
    await flushing.reply()
    await asyncio.sleep(1.0)
    assert await check_snapshots(store) == 1
    assert b"later" not in (await store.inner.get(store.keys(SNAPSHOTS)[0])).body
    store.let_go()


@virtual
async def test_rule_9_no_snapshot_of_a_slot_whose_put_is_unsettled() -> None:
    store = a_store()
    actor = await prepared(Process(store, FakeDisk(), settings=FEW))
    store.hold("put", "/0000/")
    actor.write("on its way", durability="r2")
    put = await store.next_held()
    await asyncio.sleep(3.0)
    assert store.keys(SNAPSHOTS) == []
    put.fail()
    await asyncio.sleep(1.0)
    assert store.keys(SNAPSHOTS) == []
    store.let_go()
    await (await store.next_held()).complete()
    await asyncio.sleep(1.0)
    assert await check_snapshots(store) == 1


@virtual
async def test_finding_19_the_mutant_snapshots_a_slot_that_is_not_there_yet() -> None:
    store = a_store()
    actor = await prepared(Process(store, FakeDisk(), settings=FEW, rules=Rules(snapshots_settled_only=False)))
    store.hold("put", "/0000/")
    actor.write("in slot 4", durability="r2")
    put = await store.next_held()
    await asyncio.sleep(1.0)
    assert store.keys(SNAPSHOTS)[-1].endswith("4.ltx") and len(await log_of(store)) == 3
    store.let_go()
    await put.complete()


@virtual
async def test_rule_9_a_snapshot_is_never_overwritten() -> None:
    store = a_store()
    actor = await prepared(Process(store, FakeDisk(), settings=FEW))
    key = a_log(store).snapshot_key(4)
    await store.inner.put(key, b"a stranger's")
    await write_and_flush(actor, "one")
    assert (await store.inner.get(key)).body == b"a stranger's"
    assert actor.keeper.snapshotter.written == 0


@virtual
async def test_a_snapshot_says_epoch_claim_generation_and_last_commit() -> None:
    store = a_store()
    actor = await prepared(Process(store, FakeDisk(), settings=FEW))
    await write_and_flush(actor, "one")
    _, state = await snapshot(store, store.keys(SNAPSHOTS)[0])
    assert state.open is not None
    assert (state.open.epoch, state.open.claim_id) == (2, actor.keeper.ownership.claim_id)
    assert (state.gen, state.last_commit, state.last_slot) == (1, 3, 4)


@virtual
async def test_the_hint_names_the_newest_snapshot() -> None:
    store = a_store()
    actor = await prepared(Process(store, FakeDisk(), settings=FEW))
    await write_and_flush(actor, "one")
    assert (await store.inner.get(hint_key(ENV, ADDRESS))).body == b'{"snapshot":4}'
    assert (await actor.status())["log"]["snapshot_slot"] == 4


@virtual
async def test_a_hint_that_fails_is_no_reason_for_a_second_snapshot() -> None:
    store = a_store()
    actor = await prepared(Process(store, FakeDisk(), settings=FEW))
    store.fail_next("put", "current.json", Unavailable("503"))
    await write_and_flush(actor, "one", "two")
    assert await check_snapshots(store) == 1


@virtual
@pytest.mark.parametrize("error", [Unavailable("503"), OutcomeUnknown("lost")])
async def test_a_snapshot_that_fails_costs_only_time(error: Exception) -> None:
    store = a_store()
    actor = await prepared(Process(store, FakeDisk(), settings=FEW))
    store.fail_next("put", SNAPSHOTS, error)
    await write_and_flush(actor, "one", "two")
    await asyncio.sleep(1.0)
    assert await check_snapshots(store) == 1
    await write_and_flush(actor, "three")
    assert await actor.notes() == ["one", "two", "three"]


@virtual
async def test_a_day_makes_a_snapshot_due() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await prepared(Process(store, FakeDisk()))
    await write_and_flush(actor, "one")
    assert store.keys(SNAPSHOTS) == []
    await clock.sleep(86_400.0)
    await write_and_flush(actor, "two")
    assert await check_snapshots(store) == 1


@virtual
async def test_a_tail_that_outweighs_the_database_makes_a_snapshot_due() -> None:
    store = a_store()
    actor = await prepared(Process(store, FakeDisk()))
    number = 0
    while not store.keys(SNAPSHOTS):
        number += 1
        assert number < 100
        await actor.sql("DELETE FROM notes", durability="memory").reply()
        await actor.sql("INSERT INTO notes VALUES (hex(randomblob(20000)))", durability="r2").reply()
        await asyncio.sleep(0.1)
    assert number > 5 and await check_snapshots(store) == 1


@virtual
async def test_an_actor_that_is_only_read_gets_a_snapshot_too_when_its_tail_is_long() -> None:
    """Every coming and going adds slots; without this a recovery would read more of them for ever."""
    store = a_store()
    await (await prepared(Process(store, FakeDisk(), settings=FEW))).release()
    for number in range(6):
        actor = await Process(store, FakeDisk("m2"), settings=FEW, seed=number).activate()
        assert await actor.notes() == []
        await asyncio.sleep(0.1)
        await actor.release()
    assert await check_snapshots(store) >= 2
    log = a_log(store)
    log.store = store.inner
    recovered: Recovered = await recover(log, await log.listing())
    assert recovered.tail_slots <= 5
