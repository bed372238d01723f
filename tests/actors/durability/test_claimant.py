"""Claims as they are carried out: rules 3 to 5, 10, 20 and 22, over a store whose answers wait for the test."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from actors.durability.agent import settle_journal
from actors.durability.rules import Rules
from actors.errors import InR2Mode, Moved, NotInActorMode
from actors.settings import ActorSettings
from storage.errors import CorruptSegment, LogGap, OutcomeUnknown, Unavailable
from storage.layout.keys import database_key, segment_key
from storage.log.actor_log import draft_slot
from storage.log.claim import ClaimRules
from storage.log.record import Kind, LogState
from storage.log.segment import encode_segment
from storage.log.snapshot import snapshot_segment
from storage.r2_sqlite.file_state import FileState, Mode, read_state, state_metadata, tombstone_body
from tests.actors.kit import (
    ADDRESS,
    ENV,
    Actor,
    FakeDisk,
    HeldStore,
    Process,
    VirtualClock,
    a_log,
    labels,
    log_of,
    prepared,
    virtual,
)

SLOTS = "/0000/"
FILE = database_key(ENV, ADDRESS)
W = 1.01 * 10.0 + 5.0


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


async def kinds(store: HeldStore) -> list[tuple[Kind, int]]:
    return [(entry.record.kind, entry.record.epoch) for entry in await log_of(store)]


async def put_file(store: HeldStore, state: FileState, *, with_metadata: bool = True) -> None:
    metadata = state_metadata(state) if with_metadata else None
    await store.inner.put(FILE, tombstone_body(state), metadata=metadata)


def claiming(process: Process) -> asyncio.Task[Actor]:
    return asyncio.ensure_future(process.activate())


# ---- rule 22: a new address


@virtual
async def test_rule_22_a_new_address_gets_its_tombstone_then_import_then_take() -> None:
    store = a_store()
    await Process(store, FakeDisk()).activate()
    assert [sent.key for sent in store.puts()] == [FILE, *[segment_key(ENV, ADDRESS, 0, n, n) for n in (1, 2)]]
    state = read_state((await store.inner.get(FILE)).body)
    assert (state.state, state.gen) == (Mode.ACTOR, 1)
    first, second = await log_of(store)
    assert (first.record.kind, first.record.gen, first.record.commits) == (Kind.IMPORT, 1, (1, 1))
    assert len(first.segment.pages) == first.segment.page_count
    assert (second.record.kind, second.record.base, second.segment.pages) == (Kind.TAKE, 1, ())


@virtual
@pytest.mark.parametrize("step", [1, 2, 3])
async def test_rule_22_whoever_comes_after_a_kill_finds_what_was_done_and_goes_on(step: int) -> None:
    """Killed after the tombstone, after the IMPORT, after the TAKE: each before it could learn of its success."""
    store, machine = a_store(), FakeDisk()
    first = Process(store, machine)
    store.hold("put")
    starting = claiming(first)
    for number in range(1, step + 1):
        held = await store.next_held()
        if number == step:
            await held.duplicate()
            first.kill()
        else:
            await held.complete()
    store.let_go()
    actor = await Process(store, machine, seed=1).activate()
    expected = [(Kind.IMPORT, 1), (Kind.TAKE, 2), (Kind.TAKE, 3)]
    assert await kinds(store) == (expected if step == 3 else expected[:2])
    assert [sent.key for sent in store.puts(FILE)] == [FILE]
    assert actor.keeper.ownership.gen == 1
    starting.cancel()


@virtual
async def test_rule_22_two_machines_begin_one_address_and_it_has_one_import() -> None:
    store = a_store()
    results = await asyncio.gather(
        Process(store, FakeDisk("m1")).activate(), Process(store, FakeDisk("m2")).activate(), return_exceptions=True
    )
    assert [kind for kind, _ in await kinds(store)].count(Kind.IMPORT) == 1
    assert sum(isinstance(result, Actor) for result in results) >= 1
    for result in results:
        assert isinstance(result, (Actor, Moved)), result


@virtual
async def test_rule_22_a_tombstone_and_an_import_that_came_between_two_reads_are_found() -> None:
    store = a_store()
    store.hold("list")
    late = claiming(Process(store, FakeDisk("m2")))
    held = await store.next_held()  # m2 has found no file, and is about to list
    store.let_go()
    first = await prepared(Process(store, FakeDisk("m1")))
    await first.release()
    await held.complete()
    assert await (await late).notes() == []


# ---- rule 3: refusals


@virtual
@pytest.mark.parametrize("with_metadata", [True, False])
async def test_rule_3_a_file_that_r2_mode_may_write_is_refused(with_metadata: bool) -> None:
    store = a_store()
    await put_file(store, FileState(nonce="n"), with_metadata=with_metadata)
    with pytest.raises(InR2Mode):
        await Process(store, FakeDisk()).activate()
    assert await log_of(store) == []


@virtual
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (FileState(Mode.SEALING, 1, "n"), "file_state"),
        (FileState(Mode.RETURNING, 2, "n"), "file_state"),
        (FileState(Mode.ACTOR, 3, "n"), "generation"),
    ],
)
async def test_rule_3_a_file_in_another_state_or_generation_is_refused(state: FileState, reason: str) -> None:
    store = a_store()
    actor = await Process(store, FakeDisk()).activate()
    await actor.release()
    before = len(await log_of(store))
    await put_file(store, state)
    with pytest.raises(NotInActorMode) as refused:
        await Process(store, FakeDisk()).activate()
    assert refused.value.details["reason"] == reason and len(await log_of(store)) == before


@virtual
async def test_rule_3_a_migrated_file_without_its_import_is_refused_and_gets_no_new_database() -> None:
    store = a_store()
    await put_file(store, FileState(Mode.ACTOR, 3, "n"))
    with pytest.raises(NotInActorMode) as refused:
        await Process(store, FakeDisk()).activate()
    assert refused.value.details["reason"] == "no_import" and await log_of(store) == []


@virtual
async def test_rule_3_a_log_without_its_file_is_refused() -> None:
    store = a_store()
    await (await Process(store, FakeDisk()).activate()).release()
    await store.inner.delete(FILE)
    with pytest.raises(NotInActorMode, match="missing"):
        await Process(store, FakeDisk()).activate()


@virtual
async def test_rule_3_a_gap_in_the_log_stops_the_activation() -> None:
    store = a_store()
    await (await prepared(Process(store, FakeDisk()))).release()
    await store.inner.delete(segment_key(ENV, ADDRESS, 0, 2, 2))
    with pytest.raises(LogGap, match="slot 2 is missing"):
        await Process(store, FakeDisk()).activate()


@virtual
async def test_rule_3_a_corrupt_segment_stops_the_activation_and_frees_the_lock() -> None:
    store, machine = a_store(), FakeDisk()
    await (await prepared(Process(store, machine))).release()
    key = segment_key(ENV, ADDRESS, 0, 3, 3)
    found = await store.inner.get(key)
    await store.inner.put(key, found.body[:-9] + b"x" + found.body[-8:], metadata=found.info.metadata)
    with pytest.raises(CorruptSegment, match="0003"):
        await Process(store, machine).activate()
    assert machine.locks == set()


# ---- rule 4


@virtual
async def test_rule_4_a_take_carries_the_journals_commits_in_the_same_put() -> None:
    store, machine = a_store(), FakeDisk()
    first = Process(store, machine)
    actor = await prepared(first)
    await actor.write("journaled").reply()
    first.kill()
    second = await Process(store, machine, seed=1).activate()
    take = (await log_of(store))[-1]
    assert (take.record.kind, take.record.commits, take.record.base) == (Kind.TAKE, (3, 3), 3)
    assert take.segment.pages and await second.notes() == ["journaled"]


@virtual
async def test_rule_4_only_commits_above_the_logs_last_are_carried() -> None:
    """Finding 4: an older page of the journal may not go over a newer one that was flushed."""
    store, machine = a_store(), FakeDisk()
    first = Process(store, machine)
    actor = await prepared(first)
    for note in ("one", "two"):
        await actor.write(note).reply()
    await actor.flush()
    await actor.write("three").reply()
    first.kill()
    second = await Process(store, machine, seed=1).activate()
    take = (await log_of(store))[-1]
    assert take.record.commits == (5, 5) and await second.notes() == ["one", "two", "three"]


@virtual
async def test_rule_4_two_crashes_in_a_row_lose_nothing() -> None:
    """Finding 3: the second process dies right after its TAKE, before it has a journal of its own."""
    store, machine = a_store(), FakeDisk()
    first = Process(store, machine)
    actor = await prepared(first)
    await actor.write("kept").reply()
    first.kill()
    second = Process(store, machine, seed=1)
    store.hold("put", SLOTS)
    starting = claiming(second)
    await (await store.next_held()).duplicate()
    second.kill()
    store.let_go()
    third = await Process(store, machine, seed=2).activate()
    assert await third.notes() == ["kept"]
    assert not store.keys("orphans")
    starting.cancel()


@virtual
async def test_rule_1_a_take_is_resent_unchanged_until_it_is_settled() -> None:
    store = a_store()
    actor = await Process(store, FakeDisk("m1")).activate()
    await actor.release()
    store.hold("put", SLOTS)
    starting = claiming(Process(store, FakeDisk("m1"), seed=1))
    (await store.next_held()).fail(Unavailable("429"))
    (await store.next_held()).fail(OutcomeUnknown("no answer"))
    await (await store.next_held()).lose_answer()
    await (await store.next_held()).complete()
    await starting
    takes = store.puts("0000000000000004")
    assert len(takes) == 4 and len({(sent.body, sent.metadata) for sent in takes}) == 1


@virtual
async def test_rule_4_a_foreign_claim_in_the_slot_makes_the_claimant_give_way() -> None:
    store = a_store()
    first = Process(store, FakeDisk("m1"))
    await prepared(first)
    first.kill()
    store.hold("put", SLOTS)
    two, three = claiming(Process(store, FakeDisk("m2"))), claiming(Process(store, FakeDisk("m3")))
    held = [await store.next_held(), await store.next_held()]
    store.let_go()
    await held[0].complete()
    await held[1].complete()
    with pytest.raises(Moved, match="gives way"):
        await three
    assert isinstance(await two, Actor)


@virtual
async def test_rule_4_the_journals_holder_takes_again_behind_a_foreign_claim() -> None:
    store, machine = a_store(), FakeDisk("m1")
    first = Process(store, machine)
    actor = await prepared(first)
    await actor.write("acknowledged").reply()
    first.kill()
    store.hold("put", SLOTS)
    holder = claiming(Process(store, machine, seed=1))
    take = await store.next_held()
    stranger = claiming(Process(store, FakeDisk("m2")))
    claim = await store.next_held()
    store.let_go()
    await claim.complete()
    await take.complete()
    assert await (await holder).notes() == ["acknowledged"]
    with pytest.raises(Moved):
        await stranger
    assert (await kinds(store))[-2:] == [(Kind.CLAIM, 3), (Kind.TAKE, 4)]


@virtual
async def test_a_bucket_in_which_others_always_write_first_ends_in_an_error() -> None:
    store = a_store()
    await (await prepared(Process(store, FakeDisk("m1")))).release()
    store.hold("put", SLOTS)
    starting = claiming(Process(store, FakeDisk("m2")))
    for number in range(20):
        held = await store.next_held()
        stranger = a_log(store)
        last = (await log_of(store))[-1]
        record = replace(last.record, kind=Kind.RELEASE, epoch=1, put_id=f"other {number}")
        body = replace(last.segment, first=last.slot + 1, last=last.slot + 1, node_id=1, pages=())
        draft = draft_slot(last.slot + 1, record, body)
        await store.inner.put(
            stranger.slot_key(draft.slot), draft.body, metadata={**draft.metadata, "holdfast-put-id": record.put_id}
        )
        await held.complete()
    with pytest.raises(Unavailable, match="20 claims in a row"):
        await starting


# ---- rule 5


@virtual
async def test_rule_5_a_claimant_waits_the_predecessors_ttl_then_opens() -> None:
    store, clock = a_store(), VirtualClock()
    first = Process(store, FakeDisk("m1"), settings=ActorSettings(ttl_s=60.0))
    actor = await prepared(first)
    await actor.write("in the journal only").reply()
    first.kill()
    began = clock.now()
    second = await Process(store, FakeDisk("m2")).activate()
    assert clock.now() - began >= 1.01 * 60.0 + 5.0 - 1e-6
    assert (await kinds(store))[-2:] == [(Kind.CLAIM, 3), (Kind.OPEN, 3)]
    assert await second.notes() == []
    assert (await log_of(store))[-1].record.base == 2


@virtual
async def test_rule_5_the_dial_lengthens_the_wait() -> None:
    store, clock = a_store(), VirtualClock()
    first = Process(store, FakeDisk("m1"))
    await prepared(first)
    first.kill()
    began = clock.now()
    await Process(store, FakeDisk("m2"), settings=ActorSettings(takeover_after_s=300.0)).activate()
    assert clock.now() - began >= 300.0


@virtual
async def test_rule_5_the_wait_begins_when_the_claims_answer_is_taken_in() -> None:
    store, clock = a_store(), VirtualClock()
    first = Process(store, FakeDisk("m1"))
    await prepared(first)
    first.kill()
    store.hold("put", SLOTS)
    starting = claiming(Process(store, FakeDisk("m2")))
    claim = await store.next_held()
    await claim.duplicate()
    await clock.sleep(100.0)  # landed long ago, answered only now
    store.let_go()
    answered_at = clock.now()
    await claim.complete()
    await starting
    assert clock.now() - answered_at >= W - 1e-6


@virtual
async def test_rule_5_nothing_is_written_between_claim_and_open() -> None:
    store = a_store()
    first = Process(store, FakeDisk("m1"))
    await prepared(first)
    first.kill()
    before = len(store.puts())
    starting = claiming(Process(store, FakeDisk("m2")))
    await VirtualClock().sleep(W - 1)
    assert len(store.puts()) == before + 1 and not starting.done()
    await starting


@virtual
@pytest.mark.parametrize("writes", [0, 1])
async def test_rule_5_a_live_predecessors_release_or_handover_ends_the_wait(writes: int) -> None:
    store, clock = a_store(), VirtualClock()
    actor = await prepared(Process(store, FakeDisk("m1"), settings=ActorSettings(flush_idle_s=2.0)))
    if writes:
        await actor.write("handed over").reply()
        await clock.sleep(1.0)
    began = clock.now()
    starting = claiming(Process(store, FakeDisk("m2")))
    if not writes:
        await clock.sleep(0.5)
        actor.sql("SELECT 1", durability="memory")
        await clock.sleep(5.1)
        actor.sql("SELECT 1", durability="memory")  # more than half of the ttl has gone: it looks, and finds the claim
    second = await starting
    assert clock.now() - began < W - 5
    closing = (await log_of(store))[-2].record
    assert closing.kind is (Kind.HANDOVER if writes else Kind.RELEASE)
    assert (await kinds(store))[-1] == (Kind.OPEN, 3)
    assert await second.notes() == (["handed over"] if writes else [])


@virtual
async def test_rule_5_a_handover_found_in_the_opens_slot_is_applied_and_the_open_goes_behind_it() -> None:
    store = a_store()
    machine = FakeDisk("m1")
    first = Process(store, machine)
    actor = await prepared(first)
    await actor.write("handed over late").reply()
    first.kill()
    starting = claiming(Process(store, FakeDisk("m2")))
    await VirtualClock().sleep(1.0)
    store.hold("put", SLOTS)
    held = await store.next_held()  # the OPEN
    store.let_go()
    await settle_journal(Process(store, machine, seed=1).parts, ADDRESS)
    await held.complete()
    second = await starting
    assert [kind for kind, _ in await kinds(store)][-3:] == [Kind.CLAIM, Kind.HANDOVER, Kind.OPEN]
    assert await second.notes() == ["handed over late"]


@virtual
async def test_rule_5_a_foreign_record_while_waiting_ends_the_claim_without_a_word() -> None:
    store, machine = a_store(), FakeDisk("m1")
    first = Process(store, machine)
    await prepared(first)
    first.kill()
    starting = claiming(Process(store, FakeDisk("m2")))
    await VirtualClock().sleep(2.0)
    await Process(store, machine, seed=1).activate()
    before = len(store.puts())
    with pytest.raises(Moved):
        await starting
    assert len(store.puts()) == before, "a claimant that gives up writes no RELEASE"


@virtual
async def test_rule_5_looks_that_fail_do_not_end_the_wait() -> None:
    store = a_store()
    first = Process(store, FakeDisk("m1"))
    await prepared(first)
    first.kill()
    starting = claiming(Process(store, FakeDisk("m2")))
    await VirtualClock().sleep(1.5)
    store.broken = "away"
    await VirtualClock().sleep(5.0)
    store.broken = None
    assert isinstance(await starting, Actor)


# ---- rule 10 and 7c


async def collected(store: HeldStore, slot: int) -> None:
    """A stranger's snapshot of `slot`, and nothing below it any more."""
    log = a_log(store)
    log.store = store.inner
    image = [page for _, page in (await log_of(store))[0].segment.pages]
    state = (await log_of(store))[-1]
    fold = LogState().advance_all([entry.record for entry in await log_of(store)])
    fold = replace(fold, last_slot=slot, open=replace(fold.open, closed=True) if fold.open else None)
    segment = snapshot_segment(
        image, page_size=state.segment.page_size, last_slot=slot, node_id=9, timestamp_ms=1_700_000_000_000
    )
    await log.put_snapshot(segment, encode_segment(segment), fold, put_id="stranger")
    for key in store.keys(SLOTS):
        await store.inner.delete(key)


@virtual
async def test_rule_10_a_claim_that_landed_an_hour_after_its_list_may_be_void_and_starts_again() -> None:
    store, clock = a_store(), VirtualClock()
    await (await Process(store, FakeDisk("m1")).activate()).release()
    store.hold("put", SLOTS)
    starting = claiming(Process(store, FakeDisk("m2")))
    take = await store.next_held()
    await clock.sleep(2 * 3600.0)
    await collected(store, 50)
    store.let_go()
    await take.complete()
    actor = await starting
    assert actor.keeper.ownership.state.last_slot == 51
    assert actor.keeper.ownership.epoch == 3


@virtual
async def test_rule_10_within_the_hour_no_list_follows_the_claim() -> None:
    store = a_store()
    await (await Process(store, FakeDisk("m1")).activate()).release()
    store.sent.clear()
    await Process(store, FakeDisk("m2")).activate()
    assert [sent.key for sent in store.sent if sent.name == "list"] == [
        f"{ENV}/users/alice/profiles/main/log/0009/",
        f"{ENV}/users/alice/profiles/main/log/0000/",
    ]


@virtual
async def test_rule_7c_an_open_after_a_pause_of_hours_counts_only_after_a_list() -> None:
    """The claimant was suspended while it waited: its OPEN lands in a slot that was used and deleted meanwhile."""
    store, clock = a_store(), VirtualClock()
    first = Process(store, FakeDisk("m1"))
    await prepared(first)
    first.kill()
    starting = claiming(Process(store, FakeDisk("m2")))
    await clock.sleep(W - 2)
    store.hold("put", SLOTS)
    held = await store.next_held()
    clock.skip(48 * 3600.0)
    await collected(store, 90)
    store.let_go()
    await held.complete()
    actor = await starting
    assert actor.keeper.ownership.state.last_slot == 91


# ---- rule 20, mutants


@virtual
async def test_rule_20_a_single_machine_takes_over_at_once_even_under_a_new_machine_id() -> None:
    store, clock = a_store(), VirtualClock()
    alone = ActorSettings(ownership="single_machine")
    first = Process(store, FakeDisk("m1"), settings=alone)
    await prepared(first)
    first.kill()
    began = clock.now()
    await Process(store, FakeDisk("m2"), settings=alone).activate()
    assert clock.now() - began < 1.0 and (await kinds(store))[-1] == (Kind.TAKE, 3)


@virtual
async def test_a_mutant_that_does_not_wait_is_seen_to_lose_a_write() -> None:
    """So that the tests above would notice: finding 1."""
    store = a_store()
    first = Process(store, FakeDisk("m1"))
    actor = await prepared(first)
    await actor.write("lost by the mutant").reply()
    hasty = Process(store, FakeDisk("m2"), rules=Rules(claim=ClaimRules(waits=False)))
    assert await (await hasty.activate()).notes() == []


@virtual
async def test_claims_say_what_the_next_owner_needs() -> None:
    store = a_store()
    await Process(store, FakeDisk("m7"), settings=ActorSettings(ttl_s=12.5)).activate()
    take = labels(dict(store.puts(SLOTS)[-1].metadata))
    assert (take["kind"], take["machine"], take["ttl-s"], take["gen"], take["base"]) == ("take", "m7", "12.5", "1", "1")
    assert len(take["claim-id"]) == len(take["put-id"]) == 32 and take["claim-id"] != take["put-id"]
