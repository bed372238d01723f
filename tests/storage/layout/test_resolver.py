"""Old keys lead to where their object counts."""

from __future__ import annotations

import pytest

from storage.layout.move_record import RESOLVING, TRANSITIONS, MoveRecord, MoveState, encode_record, record_key
from storage.layout.part import InvalidKey
from storage.layout.resolver import KeyResolver
from storage.objects.counting import CountingStore
from storage.objects.memory import MemoryStore
from tests.storage.objects.stores import QuickClock


class HandClock(QuickClock):
    """Time that the test moves."""

    at = 0.0

    def now(self) -> float:
        return self.at


async def a_bucket(state: MoveState) -> MemoryStore:
    store = MemoryStore(QuickClock())
    for unit, profile in (("users/ana", "p1"), ("games", "")):
        record = MoveRecord(state, profile, "run", "2026-01-01")
        await store.put(record_key("dev", unit), encode_record(record))
    return store


@pytest.mark.parametrize("state", MoveState)
async def test_keys_of_a_switched_unit_lead_to_the_new_place(state: MoveState) -> None:
    resolver = KeyResolver(await a_bucket(state), "dev", clock=HandClock())
    clip = await resolver.resolve("ana/raw_clips/x.mp4")
    game = await resolver.resolve("games/0a1b.mp4")
    if state in RESOLVING:
        assert (clip, game) == ("dev/users/ana/profiles/p1/raw_clips/x.mp4", "dev/games/0a1b.mp4")
    else:
        assert (clip, game) == ("ana/raw_clips/x.mp4", "games/0a1b.mp4")


@pytest.mark.parametrize(
    "key",
    ["dev/users/ana/profiles/p1/x", "ana/database.sqlite", "ana/profiles.json", "ben/x.mp4", "users/u/x", "bare.mp4"],
)
async def test_other_keys_are_themselves(key: str) -> None:
    assert await KeyResolver(await a_bucket(MoveState.SWITCHED), "dev", clock=HandClock()).resolve(key) == key


async def test_what_is_no_key_is_refused() -> None:
    with pytest.raises(InvalidKey):
        await KeyResolver(await a_bucket(MoveState.SWITCHED), "dev", clock=HandClock()).resolve("../x")


async def test_records_are_remembered_for_a_while() -> None:
    store, clock = CountingStore(await a_bucket(MoveState.SWITCHED)), HandClock()
    resolver = KeyResolver(store, "dev", clock=clock, ttl_s=30)
    for _ in range(5):
        await resolver.resolve("ana/x.mp4")
    assert store.counts.operations == {"get": 1}
    clock.at = 31
    await resolver.resolve("ana/x.mp4")
    assert store.counts.operations == {"get": 2}


def test_every_state_has_its_row_and_finalized_is_the_end() -> None:
    assert set(TRANSITIONS) == set(MoveState)
    assert TRANSITIONS[MoveState.FINALIZED] == frozenset()
    with pytest.raises(AssertionError):
        MoveRecord(MoveState.COPYING, "p", "run", "at").moved_to(MoveState.FINALIZED)
