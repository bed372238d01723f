"""The document in the bucket: changed by compare-and-swap, remembered by gateways."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from storage.errors import CorruptObject, Unavailable
from storage.rollout.document import Rollout
from storage.rollout.store import CHANGE_ATTEMPTS_MAX, RolloutCache, RolloutStore
from tests.actors.held_store import HeldStore
from tests.actors.virtual_time import VirtualClock, virtual

KEY = "dev/flags/rollout"


def made() -> tuple[HeldStore, RolloutStore]:
    clock = VirtualClock()
    store = HeldStore(clock)
    return store, RolloutStore(store, "dev", clock=clock, rng=random.Random(1))


@virtual
async def test_without_a_document_nobody_is_eligible_and_nothing_is_written() -> None:
    store, rollouts = made()
    assert await rollouts.read() == Rollout()
    assert store.puts() == []


@virtual
async def test_a_change_is_stored_with_revision_time_and_operator() -> None:
    _, rollouts = made()
    changed = await rollouts.change(lambda found: found.with_percent(25), by="ops")
    assert (changed.percent, changed.revision, changed.by, changed.at is not None) == (25, 1, "ops", True)
    assert await rollouts.read() == changed


@virtual
async def test_two_operators_at_once_lose_nothing() -> None:
    _, rollouts = made()
    changes = [rollouts.change(lambda found, user=user: found.allowing([user]), by=user) for user in "abcdefgh"]  # type: ignore[misc]
    await asyncio.gather(*changes)
    found = await rollouts.read()
    assert (found.allow, found.revision) == (frozenset("abcdefgh"), 8)


@virtual
async def test_a_change_whose_answer_was_lost_is_made_once() -> None:
    store, rollouts = made()
    store.hold("put", KEY)
    changing = asyncio.create_task(rollouts.change(lambda found: replace(found, paused=not found.paused), by="x"))
    held = await store.next_held()
    store.let_go()
    await held.lose_answer()
    await changing
    found = await rollouts.read()
    assert (found.paused, found.revision) == (True, 1)


@virtual
async def test_a_race_lost_too_often_is_unavailable() -> None:
    store, rollouts = made()
    other = RolloutStore(store.inner, "dev", clock=VirtualClock(), rng=random.Random(2))

    async def meddle() -> None:
        for number in range(CHANGE_ATTEMPTS_MAX):
            held = await store.next_held()
            await other.change(lambda found, n=number: found.with_percent(n), by="other")  # type: ignore[misc]
            await held.complete()

    store.hold("put", KEY)
    meddling = asyncio.create_task(meddle())
    with pytest.raises(Unavailable):
        await rollouts.change(lambda found: found.with_percent(99), by="x")
    await meddling
    assert (await rollouts.read()).percent == CHANGE_ATTEMPTS_MAX - 1


@virtual
async def test_a_damaged_document_is_never_overwritten() -> None:
    store, rollouts = made()
    await store.put(KEY, b"{}")
    with pytest.raises(CorruptObject):
        await rollouts.change(lambda found: found.with_percent(1), by="x")
    assert (await store.get(KEY)).body == b"{}"


@virtual
async def test_a_gateway_reads_it_once_per_time_to_live_and_goes_on_without_the_bucket() -> None:
    store, rollouts = made()
    await rollouts.change(lambda found: found.with_percent(5), by="x")
    clock = VirtualClock()
    cache = RolloutCache(rollouts, clock, ttl_s=10.0)
    before = len(store.sent)
    assert [(await cache.get()).percent for _ in range(3)] == [5, 5, 5]
    assert len(store.sent) == before + 1
    store.broken = "away"
    await clock.sleep(11.0)
    assert ((await cache.get()).percent, cache.failures) == (5, 1)
    store.broken = None
    await rollouts.change(lambda found: found.with_percent(6), by="x")
    await clock.sleep(11.0)
    assert (await cache.get()).percent == 6
