"""Journals without an owner process (rule 6): handed over, covered, or kept as orphans."""

from __future__ import annotations

import asyncio
import json

import pytest

from actors.durability.agent import addresses_with_journals, journal_name, lock_name, settle_journal
from actors.durability.journal import read_journal
from actors.durability.journal_record import decode_records
from actors.errors import AddressLocked
from storage.errors import OutcomeUnknown, Unavailable
from storage.layout.address import Address
from storage.log.claim import JournalFate
from storage.log.record import Kind
from tests.actors.kit import (
    ADDRESS,
    Actor,
    FakeDisk,
    HeldStore,
    Process,
    VirtualClock,
    log_of,
    prepared,
    virtual,
)


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


async def killed(store: HeldStore, machine: FakeDisk, *notes: str) -> Actor:
    """An owner that acknowledged `notes` from its journal and was killed."""
    process = Process(store, machine)
    actor = await prepared(process)
    for note in notes:
        await actor.write(note).reply()
    process.kill()
    return actor


@virtual
async def test_rule_6_an_unfinished_journal_is_handed_over_in_the_next_slot() -> None:
    store, machine = a_store(), FakeDisk()
    owner = await killed(store, machine, "one", "two")
    settlement = await settle_journal(Process(store, machine, seed=1).parts, ADDRESS)
    assert (settlement.fate, settlement.commits) == (JournalFate.HAND_OVER, 2)
    record = (await log_of(store))[-1].record
    assert (record.kind, record.epoch, record.commits) == (Kind.HANDOVER, 2, (3, 4))
    assert record.claim_id == owner.keeper.ownership.claim_id
    assert machine.locks == set() and read_journal(machine, journal_name(ADDRESS)) is None
    elsewhere = await Process(store, FakeDisk("m2")).activate()
    assert await elsewhere.notes() == ["one", "two"]


@virtual
async def test_rule_6_behind_a_claim_that_has_not_opened_it_is_handed_over_all_the_same() -> None:
    store, machine = a_store(), FakeDisk()
    await killed(store, machine, "acknowledged")
    claiming = asyncio.ensure_future(Process(store, FakeDisk("m2")).activate())
    await VirtualClock().sleep(3.0)
    settlement = await settle_journal(Process(store, machine, seed=1).parts, ADDRESS)
    assert settlement.fate is JournalFate.HAND_OVER
    assert await (await claiming).notes() == ["acknowledged"] and not store.keys("orphans")


@virtual
async def test_rule_6_once_another_has_opened_the_journal_is_copied_reported_and_kept() -> None:
    store, machine = a_store(), FakeDisk()
    owner = await killed(store, machine, "cut off")
    await Process(store, FakeDisk("m2")).activate()
    settlement = await settle_journal(Process(store, machine, seed=1).parts, ADDRESS)
    assert settlement.fate is JournalFate.ORPHAN
    claim = owner.keeper.ownership.claim_id
    body_key, report_key = store.keys("orphans")
    report = json.loads((await store.inner.get(report_key)).body)
    assert report == {"address": "alice/main", "claim_id": claim, "epoch": 2, "commits": [2, 3]}
    records = list(decode_records((await store.inner.get(body_key)).body))
    assert [record.number for record in records] == [2, 3]
    assert list(decode_records(bytes(machine.files[f"orphans/alice/main.{claim}"].synced))) == records
    assert read_journal(machine, journal_name(ADDRESS)) is None


@virtual
async def test_rule_6_a_journal_whose_last_commit_the_log_has_is_deleted_without_a_word() -> None:
    store, machine = a_store(), FakeDisk()
    process = Process(store, machine)
    actor = await prepared(process)
    await actor.write("flushed").reply()
    await actor.flush()
    process.kill()
    slots = len(await log_of(store))
    settlement = await settle_journal(Process(store, machine, seed=1).parts, ADDRESS)
    assert settlement.fate is JournalFate.COVERED
    assert len(await log_of(store)) == slots and not machine.list("journals/alice/main.a")


@virtual
async def test_rule_6_covered_also_after_somebody_else_took_over_and_wrote_on() -> None:
    store, machine = a_store(), FakeDisk()
    process = Process(store, machine)
    actor = await prepared(process)
    await actor.write("flushed").reply()
    await actor.flush()
    process.kill()
    second = await Process(store, FakeDisk("m2")).activate()
    await second.write("more", durability="r2").reply()
    settlement = await settle_journal(Process(store, machine, seed=1).parts, ADDRESS)
    assert settlement.fate is JournalFate.COVERED and not store.keys("orphans")


@virtual
async def test_rule_2_a_journal_whose_owner_lives_is_left_alone() -> None:
    store, machine = a_store(), FakeDisk()
    actor = await prepared(Process(store, machine))
    await actor.write("mine").reply()
    with pytest.raises(AddressLocked):
        await settle_journal(Process(store, machine, seed=1).parts, ADDRESS)
    assert await actor.notes() == ["mine"]


@virtual
async def test_an_address_without_a_journal_is_empty() -> None:
    store, machine = a_store(), FakeDisk()
    settlement = await settle_journal(Process(store, machine).parts, ADDRESS)
    assert settlement.fate is JournalFate.EMPTY and machine.locks == set() and store.puts() == []


@virtual
async def test_while_the_bucket_is_away_the_journal_and_its_lock_are_as_before() -> None:
    store, machine = a_store(), FakeDisk()
    await killed(store, machine, "one")
    store.broken = "away"
    with pytest.raises(Unavailable):
        await settle_journal(Process(store, machine, seed=1).parts, ADDRESS)
    assert machine.locks == set() and read_journal(machine, journal_name(ADDRESS)) is not None


@virtual
async def test_a_hand_over_whose_answer_was_lost_is_not_written_twice() -> None:
    store, machine = a_store(), FakeDisk()
    await killed(store, machine, "one")
    store.hold("put", "/0000/")
    settling = asyncio.ensure_future(settle_journal(Process(store, machine, seed=1).parts, ADDRESS))
    await (await store.next_held()).lose_answer()
    await (await store.next_held()).complete()
    assert (await settling).fate is JournalFate.HAND_OVER
    assert [entry.record.kind for entry in await log_of(store)].count(Kind.HANDOVER) == 1


@virtual
async def test_a_killed_agents_work_is_found_by_the_next() -> None:
    """Killed after the HANDOVER landed, before the journal was deleted."""
    store, machine = a_store(), FakeDisk()
    await killed(store, machine, "one")
    agent = Process(store, machine, seed=1)
    store.hold("put", "/0000/")
    settling = asyncio.ensure_future(settle_journal(agent.parts, ADDRESS))
    await (await store.next_held()).duplicate()
    agent.kill()
    store.let_go()
    settlement = await settle_journal(Process(store, machine, seed=2).parts, ADDRESS)
    assert settlement.fate is JournalFate.COVERED
    settling.cancel()


@virtual
async def test_an_orphan_whose_copy_was_cut_short_is_copied_again() -> None:
    store, machine = a_store(), FakeDisk()
    await killed(store, machine, "cut off")
    await Process(store, FakeDisk("m2")).activate()
    store.hold("put", "orphans")
    settling = asyncio.ensure_future(settle_journal(Process(store, machine, seed=1).parts, ADDRESS))
    held = await store.next_held()
    await held.duplicate()
    held.fail(OutcomeUnknown("no answer"))
    store.let_go()
    with pytest.raises(OutcomeUnknown):
        await settling
    assert read_journal(machine, journal_name(ADDRESS)) is not None
    settlement = await settle_journal(Process(store, machine, seed=1).parts, ADDRESS)
    assert settlement.fate is JournalFate.ORPHAN and len(store.keys("orphans")) == 2


def test_addresses_are_found_by_their_journals() -> None:
    disk = FakeDisk()
    for name in ("journals/a/v1.2.a.journal", "journals/a/v1.2.b.journal", "journals/b@x.org/main.b.journal"):
        disk.open(name)
    disk.open("journals/c/main.lock")
    assert addresses_with_journals(disk) == [Address("a", "v1.2"), Address("b@x.org", "main")]
    assert (journal_name(ADDRESS), lock_name(ADDRESS)) == ("journals/alice/main", "journals/alice/main.lock")
