"""Rule 21 for a file: its data goes, and nothing new can begin in its place."""

from __future__ import annotations

import asyncio
import random

import pytest

from storage.r2_sqlite.burial import bury_file
from storage.r2_sqlite.errors import ChangingModes, FileMoved
from storage.r2_sqlite.file_state import Mode, tombstone_body
from storage.r2_sqlite.transition import Event
from tests.actors.virtual_time import VirtualClock, virtual
from tests.storage.r2_sqlite.bucket import ADDRESS, KEY, Bucket, HeldFiles, a_gateway, add


async def bury(bucket: Bucket) -> bool:
    return await bury_file(bucket.store, KEY, clock=VirtualClock(), rng=random.Random(4))


@virtual
async def test_a_buried_file_is_a_tombstone_of_a_generation_no_new_address_has() -> None:
    bucket = await Bucket.holding("a")
    assert [await bury(bucket) for _ in range(2)] == [True, False]
    state = await bucket.state()
    assert (state.state, state.gen) == (Mode.ACTOR, 2)
    assert (await bucket.store.inner.get(KEY)).body == tombstone_body(state)
    with pytest.raises(FileMoved):
        await a_gateway(bucket.store).execute(ADDRESS, add("b"), create=True)


@virtual
async def test_a_save_that_was_faster_is_buried_too() -> None:
    bucket = await Bucket.holding("a")
    bucket.store.hold("put")
    burying = asyncio.create_task(bury(bucket))
    held = await bucket.store.next_held()
    bucket.store.let_go()
    await a_gateway(bucket.store.inner).execute(ADDRESS, add("b"))
    await held.complete()
    assert await burying
    state = await bucket.state()
    assert (state.state, len(state.ring)) == (Mode.ACTOR, 1)


@virtual
async def test_nothing_to_bury_writes_nothing_and_a_migration_is_waited_for() -> None:
    empty = Bucket(HeldFiles(VirtualClock()))
    assert not await bury(empty)
    assert empty.store.puts() == []
    bucket = await Bucket.holding("a")
    await bucket.change(Event.SEAL)
    with pytest.raises(ChangingModes):
        await bury(bucket)
