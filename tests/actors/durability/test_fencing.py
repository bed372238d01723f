"""A fenced owner's end (rule 7e): hand over behind unopened claims, else keep the journal; nobody is told too much."""

from __future__ import annotations

import asyncio

import pytest

from actors.durability.rules import Rules
from actors.errors import ActivationEnded, Moved, OutcomeUnknownWrite
from actors.settings import ActorSettings
from storage.errors import Unavailable
from storage.log.actor_log import draft_slot
from storage.log.record import Kind
from tests.actors.kit import (
    ADDRESS,
    Actor,
    FakeDisk,
    HeldStore,
    Process,
    VirtualClock,
    a_log,
    a_record,
    a_segment,
    log_of,
    prepared,
    virtual,
)

QUIET = ActorSettings(flush_idle_s=4.0)


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


async def foreign(store: HeldStore, actor: Actor, *kinds: Kind, epoch: int = 9, further: int = 0) -> None:
    """Somebody else's records from the actor's next slot (and `further`) on."""
    log = a_log(store)
    log.store = store.inner
    for slot, kind in enumerate(kinds, start=actor.keeper.ownership.next_slot + further):
        record = a_record(kind, epoch, machine_id="m9", put_id=f"foreign {slot}")
        segment = a_segment(slot, epoch)
        page_size = (await log_of(store))[0].segment.page_size
        segment = type(segment)(slot, slot, page_size, segment.page_count, (), epoch, segment.timestamp_ms)
        await log.put(draft_slot(slot, record, segment))


async def tail(store: HeldStore, count: int) -> list[tuple[Kind, int, tuple[int, int] | None]]:
    found = [entry.record for entry in (await log_of(store))[-count:]]
    return [(record.kind, record.epoch, record.commits) for record in found]


async def an_actor(store: HeldStore, disk: FakeDisk | None = None, rules: Rules | None = None) -> Actor:
    return await prepared(Process(store, disk or FakeDisk(), settings=QUIET, rules=rules))


@virtual
async def test_rule_7e_an_owner_that_meets_a_claim_hands_its_unflushed_commits_over_behind_it() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    await actor.write("one").reply()
    await actor.write("two").reply()
    await foreign(store, actor, Kind.CLAIM)
    ask = actor.write("three", durability="r2")
    await ask.reply()  # it is in the log for good, whoever owns the actor now
    assert await tail(store, 2) == [(Kind.CLAIM, 9, None), (Kind.HANDOVER, 2, (3, 5))]
    assert isinstance(await actor.activation.ended, Moved)
    assert disk.locks == set() and not disk.list("journals/alice/main.a")


@virtual
async def test_rule_7e_with_nothing_unflushed_it_writes_a_release() -> None:
    store = a_store()
    actor = await an_actor(store)
    await foreign(store, actor, Kind.CLAIM)
    await VirtualClock().sleep(11.0)
    assert await actor.notes() == []  # it waited; when the RELEASE had settled nobody else had served
    await actor.activation.ended
    assert await tail(store, 1) == [(Kind.RELEASE, 2, None)]


@virtual
async def test_rule_7e_it_goes_behind_every_claim_that_has_not_opened() -> None:
    store = a_store()
    actor = await an_actor(store)
    await actor.write("w").reply()
    await foreign(store, actor, Kind.CLAIM, Kind.CLAIM, Kind.CLAIM)
    await actor.activation.ended
    assert (await tail(store, 1)) == [(Kind.HANDOVER, 2, (3, 3))]


@virtual
@pytest.mark.parametrize("kind", [Kind.OPEN, Kind.TAKE])
async def test_rule_7e_where_somebody_opened_the_journal_becomes_an_orphan_and_is_reported(kind: Kind) -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    await actor.write("acknowledged here only").reply()
    await foreign(store, actor, Kind.CLAIM, kind)
    ask = actor.write("ran, and nobody knows", durability="r2")
    with pytest.raises(OutcomeUnknownWrite):
        await ask.reply()
    assert isinstance(await actor.activation.ended, Moved)
    assert await tail(store, 1) == [(kind, 9, None)]
    claim = actor.keeper.ownership.claim_id
    assert [key.rpartition("/")[2] for key in store.keys("orphans")] == [f"{claim}.journal", f"{claim}.json"]
    assert disk.list("orphans/") == [f"orphans/{ADDRESS}.{claim}"] and not disk.list("journals/alice/main.a")


@virtual
async def test_rule_7e_moved_only_to_what_did_not_run() -> None:
    store = a_store()
    actor = await an_actor(store)
    store.hold("put", "/0000/")
    await foreign(store, actor, Kind.CLAIM, Kind.OPEN)
    ran = actor.write("ran", durability="r2")
    put = await store.next_held()
    store.hold("get", "/0000/")
    await put.complete()
    held = await store.next_held()
    late = actor.write("did not run")
    assert isinstance(late.error, ActivationEnded) and late.error.retryable
    store.let_go()
    await held.complete()
    with pytest.raises(OutcomeUnknownWrite):
        await ran.reply()


@virtual
async def test_rule_7e_nothing_leaves_after_the_fence_is_seen_until_the_hand_over_has_settled() -> None:
    store = a_store()
    actor = await an_actor(store)
    await foreign(store, actor, Kind.CLAIM)
    store.hold("put", "/0000/")
    ask = actor.write("w", durability="r2")
    await (await store.next_held()).complete()  # 412: somebody else's
    handover = await store.next_held()
    assert handover.sent.key.endswith("5.ltx") and not ask.answered
    await handover.complete()
    await ask.reply()


@virtual
async def test_rule_7e_a_hand_over_survives_an_outage_and_a_lost_answer() -> None:
    store = a_store()
    actor = await an_actor(store)
    await actor.write("w").reply()
    await foreign(store, actor, Kind.CLAIM)
    store.fail_next("get", "/0000/", Unavailable("500"))
    store.fail_next("get", "/0000/", Unavailable("500"))
    store.hold("put", "/0000/")
    await (await store.next_held()).complete()
    await (await store.next_held()).lose_answer()
    await (await store.next_held()).complete()
    await actor.activation.ended
    assert await tail(store, 1) == [(Kind.HANDOVER, 2, (3, 3))] and not store.keys("orphans")


@virtual
async def test_rule_7e_a_claimant_that_opens_first_ends_the_hand_over() -> None:
    store = a_store()
    actor = await an_actor(store)
    await actor.write("w").reply()
    await foreign(store, actor, Kind.CLAIM)
    store.hold("put", "/0000/")
    await (await store.next_held()).complete()
    handover = await store.next_held()
    store.let_go()
    await foreign(store, actor, Kind.OPEN, further=1)
    await handover.complete()
    await actor.activation.ended
    assert (await tail(store, 1))[0][0] is Kind.OPEN and store.keys("orphans")


@virtual
async def test_a_fenced_owner_whose_bucket_is_away_keeps_nobody_waiting_for_ever() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    await foreign(store, actor, Kind.CLAIM)
    ask = actor.write("w", durability="r2")
    store.hold("get", "/0000/")
    held = await store.next_held()
    began = clock.now()
    with pytest.raises(OutcomeUnknownWrite):
        await ask.reply()
    assert clock.now() - began <= 17.0
    store.let_go()
    await held.complete()
    await actor.activation.ended


@virtual
async def test_finding_2_the_mutant_that_does_not_hand_over_leaves_an_orphan() -> None:
    store = a_store()
    actor = await an_actor(store, rules=Rules(hands_over_when_fenced=False))
    await actor.write("w").reply()
    await foreign(store, actor, Kind.CLAIM)
    await asyncio.wait_for(asyncio.shield(actor.activation.ended), 60)
    assert (await tail(store, 1))[0][0] is Kind.CLAIM


@virtual
async def test_rule_7c_a_hand_over_that_lands_in_collected_ground_tells_nobody_it_is_durable() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    await foreign(store, actor, Kind.CLAIM)
    store.hold("put", "/0000/")
    ask = actor.write("w", durability="r2")
    await (await store.next_held()).complete()
    handover = await store.next_held()
    clock.skip(48 * 3600.0)
    await store.inner.put("dev/users/alice/profiles/main/log/0009/0000000000000001-00000000000000ff.ltx", b"x")
    store.let_go()
    await handover.complete()
    with pytest.raises(OutcomeUnknownWrite):
        await ask.reply()
