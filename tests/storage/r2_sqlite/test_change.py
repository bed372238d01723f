"""Changing a file's state by compare-and-swap."""

from __future__ import annotations

import random

import pytest

from storage.r2_sqlite.change import change_file
from storage.r2_sqlite.file_state import Mode, read_state, state_from_metadata, tombstone_body
from storage.r2_sqlite.transition import Event, WrongState
from tests.actors.virtual_time import VirtualClock, virtual
from tests.storage.r2_sqlite.bucket import ADDRESS, KEY, Bucket, a_body, a_gateway, add


@virtual
async def test_a_round_keeps_data_and_ring_and_says_the_state_twice() -> None:
    bucket = await Bucket.holding("a")
    await a_gateway(bucket.store).execute(ADDRESS, add("b"))
    ring, etags = (await bucket.state()).ring, set()
    for event in (Event.SEAL, Event.ABORT, Event.SEAL, Event.CUT_OVER, Event.RETURN, Event.REOPEN):
        after = await bucket.change(event)
        stored = await bucket.store.inner.get(KEY)
        repeated = state_from_metadata(stored.info.metadata)
        assert repeated is not None and repeated.gen == after.gen and repeated.state is after.state
        assert read_state(stored.body) == after
        assert after.ring == ring
        assert await bucket.words() == ["a", "b"]
        etags.add(stored.info.etag)
    assert len(etags) == 6
    assert (await bucket.state()).gen == 5


@virtual
async def test_of_two_drivers_one_is_told_that_the_other_was_faster() -> None:
    bucket = await Bucket.holding("a")
    found = await bucket.store.inner.get(KEY)
    rng = random.Random(1)
    ends = [await change_file(bucket.store, found, Event.SEAL, clock=VirtualClock(), rng=rng) for _ in range(2)]
    assert ends[0] is not None and ends[0].state is Mode.SEALING
    assert ends[1] is None


@virtual
async def test_finalizing_leaves_a_tombstone_with_the_ring() -> None:
    bucket = await Bucket.holding("a")
    await a_gateway(bucket.store).execute(ADDRESS, add("b"))
    for event in (Event.SEAL, Event.CUT_OVER):
        await bucket.change(event)
    after = await bucket.change(Event.FINALIZE)
    assert (await bucket.store.inner.get(KEY)).body == tombstone_body(after)
    assert len(after.ring) == 1


@virtual
async def test_reopening_brings_the_data_of_the_export() -> None:
    bucket = await Bucket.holding("a")
    for event in (Event.SEAL, Event.CUT_OVER, Event.RETURN):
        await bucket.change(event)
    await bucket.change(Event.REOPEN, body=a_body("a", "written since"))
    assert await bucket.words() == ["a", "written since"]


@virtual
async def test_a_change_that_the_state_does_not_allow_writes_nothing() -> None:
    bucket = await Bucket.holding("a")
    with pytest.raises(WrongState):
        await bucket.change(Event.CUT_OVER)
    assert bucket.store.puts() == []
