"""Deleting an address (rule 21): CLOSE and a tombstone, and nothing else goes before its time."""

from __future__ import annotations

import random

import pytest

from actors.durability.closing import close_address
from actors.errors import NotInActorMode
from storage.errors import Unavailable
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.log.record import Kind
from storage.r2_sqlite.file_state import Mode, read_state
from tests.actors.kit import ADDRESS, ENV, Actor, FakeDisk, HeldStore, Process, VirtualClock, log_of, prepared, virtual


async def close(store: HeldStore, actor: Actor | None = None) -> bool:
    async def release(address: Address) -> None:
        assert address == ADDRESS
        if actor is not None:
            await actor.release()

    return await close_address(store, ENV, ADDRESS, clock=VirtualClock(), rng=random.Random(1), release=release)


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


@virtual
async def test_rule_21_the_owner_is_released_then_the_log_closed_and_everything_kept() -> None:
    store = a_store()
    actor = await prepared(Process(store, FakeDisk()))
    await actor.write("unflushed").reply()
    before = len(await log_of(store))
    assert await close(store, actor)
    assert [entry.record.kind for entry in (await log_of(store))[before:]] == [Kind.SEGMENT, Kind.RELEASE, Kind.CLOSE]
    state = read_state((await store.inner.get(database_key(ENV, ADDRESS))).body)
    assert (state.state, state.gen) == (Mode.ACTOR, 1)
    assert [sent for sent in store.sent if sent.name == "delete"] == []


@virtual
async def test_rule_21_nobody_opens_a_closed_log() -> None:
    store = a_store()
    await close(store, await prepared(Process(store, FakeDisk())))
    before = len(await log_of(store))
    with pytest.raises(NotInActorMode) as refused:
        await Process(store, FakeDisk()).activate()
    assert refused.value.details["reason"] == "no_import" and len(await log_of(store)) == before


@virtual
async def test_closing_twice_changes_nothing() -> None:
    store = a_store()
    await close(store, await prepared(Process(store, FakeDisk())))
    keys = store.keys()
    assert await close(store) and store.keys() == keys


@virtual
async def test_an_address_that_never_was_an_actors_is_left_alone() -> None:
    store = a_store()
    assert not await close(store) and store.keys() == []


@virtual
async def test_an_owner_that_does_not_end_is_not_closed_over() -> None:
    store = a_store()
    actor = await prepared(Process(store, FakeDisk()))
    with pytest.raises(Unavailable):
        await close(store)
    assert Kind.CLOSE not in [entry.record.kind for entry in await log_of(store)] and await actor.notes() == []
