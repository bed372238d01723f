"""The recovery-only activation: rule 18, finding 30."""

from __future__ import annotations

import pytest

from actors.durability.agent import journal_name
from actors.durability.draining import drain_address
from actors.durability.journal import read_journal
from actors.errors import NotInActorMode
from actors.model.birth import template_image
from storage.layout.keys import database_key
from storage.log.record import Kind
from storage.r2_sqlite.change import change_file
from storage.r2_sqlite.transition import Event
from tests.actors.kit import ADDRESS, ENV, FakeDisk, HeldStore, Process, VirtualClock, log_of, prepared, virtual

FILE = database_key(ENV, ADDRESS)


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


async def drain(process: Process) -> None:
    await drain_address(process.parts, ADDRESS, template_image(process.parts.settings.database))


async def begin_return(store: HeldStore, process: Process) -> None:
    found = await store.inner.get(FILE)
    assert await change_file(store.inner, found, Event.RETURN, clock=process.parts.clock, rng=process.parts.rng)


async def kinds(store: HeldStore) -> list[Kind]:
    return [entry.record.kind for entry in await log_of(store)]


async def killed_with_a_journal(store: HeldStore, machine: FakeDisk) -> None:
    """An owner that acknowledged a write at `local`, and died before it was flushed."""
    process = Process(store, machine)
    actor = await prepared(process)
    await actor.write("unflushed").reply()
    process.kill()


@virtual
async def test_rule_18_a_dead_owners_journal_is_taken_and_the_epoch_closed() -> None:
    store, machine = a_store(), FakeDisk()
    await killed_with_a_journal(store, machine)
    later = Process(store, machine, seed=1)
    await begin_return(store, later)
    await drain(later)
    take, release = (await log_of(store))[-2:]
    assert (take.record.kind, release.record.kind) == (Kind.TAKE, Kind.RELEASE)
    assert take.record.commits is not None and take.segment.pages
    assert read_journal(machine, journal_name(ADDRESS)) is None and not machine.locks


@virtual
async def test_rule_18_without_the_recovery_only_activation_nobody_may_claim() -> None:
    store, machine = a_store(), FakeDisk()
    await killed_with_a_journal(store, machine)
    later = Process(store, machine, seed=1)
    await begin_return(store, later)
    with pytest.raises(NotInActorMode) as refused:
        await later.activate()
    assert refused.value.details == {"reason": "file_state", "file_state": "returning"}


@virtual
async def test_rule_18_a_machine_without_the_journal_waits_before_it_closes() -> None:
    store, machine = a_store(), FakeDisk()
    await killed_with_a_journal(store, machine)
    other = Process(store, FakeDisk("m2"), seed=1)
    await begin_return(store, other)
    since = other.parts.clock.now()
    await drain(other)
    assert (await kinds(store))[-3:] == [Kind.CLAIM, Kind.OPEN, Kind.RELEASE]
    assert other.parts.clock.now() - since >= 1.01 * 10.0


@virtual
async def test_rule_18_a_closed_epoch_is_left_alone() -> None:
    store, machine = a_store(), FakeDisk()
    process = Process(store, machine)
    await (await prepared(process)).release()
    await begin_return(store, process)
    before = await kinds(store)
    with pytest.raises(NotInActorMode) as refused:
        await drain(process)
    assert refused.value.details["reason"] == "nothing_open" and await kinds(store) == before


@virtual
async def test_a_file_that_is_not_returning_is_not_drained() -> None:
    store, machine = a_store(), FakeDisk()
    await killed_with_a_journal(store, machine)
    before = await kinds(store)
    with pytest.raises(NotInActorMode):
        await drain(Process(store, machine, seed=1))
    assert await kinds(store) == before


@virtual
async def test_an_address_that_never_was_stays_nothing() -> None:
    store = a_store()
    with pytest.raises(NotInActorMode):
        await drain(Process(store, FakeDisk()))
    assert store.keys() == []
