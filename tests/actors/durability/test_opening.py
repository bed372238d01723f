"""Opening an ownership: lock first, journal settled, nothing left behind by a failure (rules 2, 4, 6)."""

from __future__ import annotations

import asyncio

import pytest

from actors.durability.agent import journal_name
from actors.durability.commit import Commit
from actors.durability.journal import Journal, file_names, read_journal
from actors.durability.rules import Rules
from actors.errors import AddressLocked
from storage.errors import Unavailable, UnsupportedVersion
from tests.actors.kit import ADDRESS, FakeDisk, HeldStore, Process, VirtualClock, pages, prepared, virtual


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


@virtual
async def test_rule_2_the_lock_is_held_before_the_first_list_and_until_the_end() -> None:
    store, machine = a_store(), FakeDisk()
    store.hold("list")
    starting = asyncio.ensure_future(Process(store, machine).activate())
    held = await store.next_held()
    assert machine.locks == {"journals/alice/main.lock"}
    store.let_go()
    await held.complete()
    actor = await starting
    assert machine.locks
    await actor.release()
    assert not machine.locks


@virtual
async def test_rule_2_without_the_lock_nothing_is_read_or_written() -> None:
    store, machine = a_store(), FakeDisk()
    await prepared(Process(store, machine))
    store.sent.clear()
    with pytest.raises(AddressLocked):
        await Process(store, machine, seed=1).activate()
    assert store.sent == []


@virtual
async def test_rule_2_the_mutant_without_a_lock_would_read_a_living_owners_journal() -> None:
    store, machine = a_store(), FakeDisk()
    await prepared(Process(store, machine))
    await Process(store, machine, rules=Rules(locks=False), seed=1).activate()


@virtual
async def test_a_failed_opening_frees_the_lock() -> None:
    store, machine = a_store(), FakeDisk()
    store.broken = "away"
    with pytest.raises(Unavailable):
        await Process(store, machine).activate()
    assert machine.locks == set()


@virtual
async def test_an_opening_that_is_called_off_frees_the_lock() -> None:
    store, machine = a_store(), FakeDisk()
    store.hold("put")
    starting = asyncio.ensure_future(Process(store, machine).activate())
    await store.next_held()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert machine.locks == set()


@virtual
async def test_a_journal_of_a_newer_version_stops_the_opening_and_stays() -> None:
    store, machine = a_store(), FakeDisk()
    process = Process(store, machine)
    await (await prepared(process)).write("newer").reply()
    process.kill()
    name = next(name for name in file_names(journal_name(ADDRESS)) if machine.files[name].written)
    machine.files[name].written[3] = 9
    with pytest.raises(UnsupportedVersion):
        await Process(store, machine, seed=1).activate()
    assert machine.exists(name) and machine.locks == set()


@virtual
async def test_a_journal_that_was_carried_is_gone_afterwards() -> None:
    store, machine = a_store(), FakeDisk()
    process = Process(store, machine)
    await (await prepared(process)).write("carried").reply()
    process.kill()
    await Process(store, machine, seed=1).activate()
    assert read_journal(machine, journal_name(ADDRESS)) is None


@virtual
async def test_rule_6_a_machine_that_comes_back_orphans_what_was_cut_off_and_serves_what_stands() -> None:
    store, machine = a_store(), FakeDisk("m1")
    process = Process(store, machine)
    await (await prepared(process)).write("cut off").reply()
    process.kill()
    elsewhere = await Process(store, FakeDisk("m2")).activate()
    await elsewhere.write("what stands").reply()
    await elsewhere.release()
    back = await Process(store, machine, seed=1).activate()
    assert await back.notes() == ["what stands"]
    assert len(store.keys("orphans")) == 2


@virtual
async def test_finding_31_a_journal_of_an_earlier_life_never_hides_the_new_ones() -> None:
    """The log was deleted and began again at epoch 1; the old journal is of epoch 9."""
    store, machine = a_store(), FakeDisk()
    old = Journal(machine, journal_name(ADDRESS), "ab" * 16, 9)
    for number in (1, 2, 3):
        old.append(Commit(number, pages(1, mark=number), 0.0))
        old.turn()
    old.sync()
    process = Process(store, machine)
    await (await prepared(process)).write("of the new life").reply()
    process.kill()
    assert await (await Process(store, machine, seed=1).activate()).notes() == ["of the new life"]
