"""Confirmed ownership: what a look proves, as of when (rules 1, 7a, 7c, 20)."""

from __future__ import annotations

import asyncio

import pytest

from actors.call import Op
from actors.settings import ActorSettings
from storage.errors import ObjectNotFound, Unavailable
from storage.layout.keys import segment_key
from storage.log.actor_log import draft_slot
from storage.log.record import Kind
from tests.actors.kit import (
    ADDRESS,
    ENV,
    Actor,
    FakeDisk,
    HeldStore,
    Process,
    VirtualClock,
    a_log,
    a_record,
    a_segment,
    prepared,
    virtual,
)

TTL = 10.0


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


async def an_actor(store: HeldStore, **settings: object) -> Actor:
    return await prepared(Process(store, FakeDisk(), settings=ActorSettings(ttl_s=TTL, **settings)))  # type: ignore[arg-type]


async def take_next_slot(store: HeldStore, actor: Actor, kind: Kind = Kind.TAKE) -> None:
    """Somebody else's record in the slot that the actor would write next."""
    log = a_log(store)
    log.store = store.inner
    slot = actor.keeper.ownership.next_slot
    record = a_record(kind, 9, machine_id="m9")
    await log.put(draft_slot(slot, record, a_segment(slot, 9)))


@virtual
async def test_rule_7a_a_look_confirms_as_of_when_it_was_sent() -> None:
    store, clock = a_store(), VirtualClock()
    ownership = (await an_actor(store)).keeper.ownership
    store.hold("head", "/0000/")
    sent_at = clock.now()
    look = asyncio.ensure_future(ownership.look())
    held = await store.next_held()
    await clock.sleep(7.0)
    await held.complete()
    assert await look
    assert ownership.confirmed_at == sent_at
    assert ownership.fresh()
    await clock.sleep(3.0)
    assert not ownership.fresh()


@virtual
async def test_rule_7a_confirmation_never_goes_back() -> None:
    store, clock = a_store(), VirtualClock()
    ownership = (await an_actor(store)).keeper.ownership
    await clock.sleep(5.0)
    await ownership.look()
    confirmed_at = ownership.confirmed_at
    assert await ownership.confirm(confirmed_at - 3.0, ownership.next_slot)
    assert ownership.confirmed_at == confirmed_at


@virtual
async def test_rule_7a_a_look_waits_until_no_put_is_in_flight() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    store.hold("put", "/0000/")
    actor.write("w", durability="memory")
    flushing = actor.ask(Op.FLUSH)
    put = await store.next_held()
    looks = [sent for sent in store.sent if sent.name == "head"]
    look = asyncio.ensure_future(actor.keeper.ownership.look())
    await clock.sleep(5.0)
    assert [sent for sent in store.sent if sent.name == "head"] == looks and not look.done()
    store.let_go()
    await put.complete()
    assert await look
    await flushing.reply()


@virtual
async def test_rule_7c_a_look_that_finds_the_slot_taken_means_fenced() -> None:
    store = a_store()
    actor = await an_actor(store)
    await take_next_slot(store, actor)
    assert not await actor.keeper.ownership.look()


@virtual
async def test_a_look_at_a_bucket_that_is_away_decides_nothing() -> None:
    store = a_store()
    ownership = (await an_actor(store)).keeper.ownership
    store.broken = "away"
    with pytest.raises(Unavailable):
        await ownership.look()
    store.broken = None
    assert not ownership.fenced and await ownership.look()


@virtual
async def test_rule_7c_a_fenced_owner_is_never_fresh_and_never_looks_again() -> None:
    store = a_store()
    ownership = (await an_actor(store)).keeper.ownership
    ownership.fenced = True
    sent = len(store.sent)
    assert not ownership.fresh() and not await ownership.look() and len(store.sent) == sent


async def snapshot_at(store: HeldStore, slot: int) -> None:
    await store.inner.put(segment_key(ENV, ADDRESS, 9, 1, slot), b"x")


@virtual
@pytest.mark.parametrize(("snapshot_ahead", "owner"), [(0, False), (-1, True)])
async def test_rule_7c_a_look_more_than_an_hour_later_counts_only_after_a_list_of_the_snapshots(
    snapshot_ahead: int, owner: bool
) -> None:
    store, clock = a_store(), VirtualClock()
    ownership = (await an_actor(store)).keeper.ownership
    await clock.sleep(3601.0)
    await snapshot_at(store, ownership.next_slot + snapshot_ahead)
    assert await ownership.look() is owner
    assert store.sent[-1].name == "list" and store.sent[-1].key.endswith("/0009/")


@virtual
async def test_rule_7c_within_the_hour_no_list_is_needed() -> None:
    store, clock = a_store(), VirtualClock()
    ownership = (await an_actor(store)).keeper.ownership
    await clock.sleep(3599.0)
    store.sent.clear()
    assert await ownership.look()
    assert [sent.name for sent in store.sent] == ["head"]


@virtual
async def test_rule_7c_a_look_sent_in_time_and_answered_an_hour_later_needs_the_list_too() -> None:
    store, clock = a_store(), VirtualClock()
    ownership = (await an_actor(store)).keeper.ownership
    store.hold("head", "/0000/")
    look = asyncio.ensure_future(ownership.look())
    held = await store.next_held()
    await clock.sleep(30 * 3600.0)
    await snapshot_at(store, ownership.next_slot + 5)
    held.fail(ObjectNotFound("absent: the slot was used and deleted meanwhile"))
    assert not await look


@virtual
async def test_rule_20_on_a_single_machine_ownership_is_fresh_without_looks() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store, ownership="single_machine")
    await clock.sleep(86_400.0)
    store.sent.clear()
    assert await actor.notes() == [] and store.sent == []
    assert actor.keeper.ownership.fresh() and not actor.keeper.ownership.ageing()


@virtual
async def test_an_owner_looks_ahead_of_need_when_half_of_the_ttl_has_gone() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    await clock.sleep(6.0)
    store.sent.clear()
    assert await actor.notes() == []
    await clock.sleep(0.1)
    assert [sent.name for sent in store.sent] == ["head"]
    assert clock.now() - actor.keeper.ownership.confirmed_at < 1.0


@virtual
async def test_replies_that_wait_share_one_look() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    await clock.sleep(11.0)
    store.sent.clear()
    asks = [actor.sql("SELECT note FROM notes") for _ in range(20)]
    for ask in asks:
        await ask.reply()
    assert [sent.name for sent in store.sent] == ["head"]
