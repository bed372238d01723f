"""Back to the flat layout, with everything written since, past r2 writers and never past an actor."""

from __future__ import annotations

import pytest

from migrate.layout.flat_unit import FlatUnit
from migrate.layout.report import Outcome, UnitReport
from migrate.layout.way_back import WayBack
from storage.errors import PreconditionFailed
from storage.layout.keys import profiles_key
from storage.layout.profile_documents import decode_document
from storage.objects.memory import MemoryStore
from storage.objects.port import ObjectStore
from storage.r2_sqlite.file_state import FileState, Mode, read_state, with_state
from tests.migrate.layout.flat_bucket import (
    ENV,
    FILES,
    FailingStore,
    Killed,
    a_database,
    a_flat_bucket,
    contents,
    forward,
    game_names,
    parts,
    tables,
)

ANA = FlatUnit(ENV, "ana")


async def back(store: ObjectStore, unit: FlatUnit = ANA, *, execute: bool = True, seed: int = 7) -> UnitReport:
    return await WayBack(parts(store, seed=seed)).roll_back(unit, execute=execute)


async def new_place(store: MemoryStore) -> str:
    key = profiles_key(ENV, "ana")
    return f"dev/users/ana/profiles/{decode_document((await store.get(key)).body, key).default}/"


async def a_lived_in_bucket() -> MemoryStore:
    """Switched; since then r2 mode saved the database, a clip came."""
    store = await a_flat_bucket()
    assert (await forward(store).migrate(ANA)).outcome is Outcome.DONE
    place = await new_place(store)
    state = FileState(Mode.OPEN, 0, "n1", ("put-1",))
    await store.put(f"{place}database.sqlite", with_state(a_database("opener", "since"), state))
    await store.put(f"{place}raw_clips/new.mp4", b"new clip")
    return store


async def test_what_was_written_since_is_in_the_old_place_afterwards() -> None:
    store = await a_lived_in_bucket()
    report = await back(store)
    assert (report.outcome, report.copied.objects) == (Outcome.DONE, 2)
    old = await contents(store, "ana/")
    assert game_names(old["ana/database.sqlite"]) == ["opener", "since"]
    assert tables(old["ana/database.sqlite"]) == ["games"], "system tables stay behind"
    assert old["ana/raw_clips/new.mp4"] == b"new clip"
    assert old["ana/log/notes.txt"] == FILES["ana/log/notes.txt"]
    assert (await back(store)).outcome is Outcome.NOTHING


async def test_the_new_place_is_sealed_and_nothing_of_it_deleted() -> None:
    store = await a_lived_in_bucket()
    before = await contents(store, "dev/users/")
    await back(store)
    after = await contents(store, "dev/users/")
    assert before.keys() == after.keys()
    state = read_state(after[f"{await new_place(store)}database.sqlite"])
    assert (state.state, state.gen, state.ring) == (Mode.SEALING, 1, ("put-1",))


async def test_a_dry_run_writes_nothing() -> None:
    store = await a_lived_in_bucket()
    before = await contents(store)
    assert (await back(store, execute=False)).outcome is Outcome.PLANNED
    assert await contents(store) == before


async def test_a_save_of_r2_mode_that_comes_before_the_seal_goes_back_too() -> None:
    store = await a_lived_in_bucket()
    place = await new_place(store)
    saved = False

    class Saves(FailingStore):
        async def put(self, key: str, body: bytes, **kind: object) -> object:  # type: ignore[override]
            nonlocal saved
            if key.endswith("database.sqlite") and not saved:
                saved = True
                state = FileState(Mode.OPEN, 0, "n2", ("put-1", "put-2"))
                current = await store.get(f"{place}database.sqlite")
                body_now = with_state(a_database("opener", "since", "last"), state)
                await store.put(key, body_now, if_match=current.info.etag)
            return await self.inner.put(key, body, **kind)  # type: ignore[arg-type]

    report = await back(Saves(store))  # type: ignore[arg-type]
    assert report.outcome is Outcome.DONE
    assert game_names((await store.get("ana/database.sqlite")).body) == ["opener", "since", "last"]


async def test_a_save_with_the_etag_from_before_the_seal_is_refused() -> None:
    store = await a_lived_in_bucket()
    key = f"{await new_place(store)}database.sqlite"
    etag = (await store.head(key)).etag
    await back(store)
    with pytest.raises(PreconditionFailed):
        await store.put(key, a_database("too late"), if_match=etag)


async def test_a_user_whom_an_actor_serves_is_refused_before_anything_changes() -> None:
    store = await a_lived_in_bucket()
    key = f"{await new_place(store)}database.sqlite"
    await store.put(key, with_state(a_database("opener"), FileState(Mode.ACTOR, 1, "n")))
    before = await contents(store)
    report = await back(store)
    assert (report.outcome, "bring the user back to r2 mode first" in report.errors[0]) == (Outcome.CONFLICT, True)
    assert await contents(store) == before


async def test_an_old_database_written_meanwhile_is_not_overwritten() -> None:
    store = await a_lived_in_bucket()
    await store.put("ana/database.sqlite", a_database("foreign"))
    report = await back(store)
    assert report.outcome is Outcome.CONFLICT
    assert (await store.get("ana/database.sqlite")).body == a_database("foreign")


async def test_a_way_back_killed_at_any_call_is_resumed_by_the_next_one() -> None:
    for late in (False, True):
        fail_at = 1
        while True:
            store = await a_lived_in_bucket()
            failing = FailingStore(store, fail_at=fail_at, late=late)
            try:
                await back(failing)
            except Killed:
                pass
            assert (await back(store, seed=8)).outcome in (Outcome.DONE, Outcome.NOTHING), fail_at
            old = await contents(store, "ana/")
            assert game_names(old["ana/database.sqlite"]) == ["opener", "since"]
            assert old["ana/raw_clips/new.mp4"] == b"new clip"
            if failing.untouched:
                break
            fail_at += 1
        assert fail_at > 20


async def test_forth_back_and_forth_again_loses_nothing() -> None:
    store = await a_lived_in_bucket()
    await back(store)
    etag = (await store.head("ana/database.sqlite")).etag
    await store.put("ana/database.sqlite", a_database("opener", "since", "old again"), if_match=etag)
    await store.put("ana/raw_clips/old.mp4", b"old clip")
    report = await forward(store).migrate(ANA)
    assert (report.outcome, report.agrees) == (Outcome.DONE, True), report
    body = (await store.get(f"{await new_place(store)}database.sqlite")).body
    state = read_state(body)
    assert game_names(body) == ["opener", "since", "old again"]
    assert (state.state, state.gen, state.ring) == (Mode.OPEN, 2, ("put-1",))
    assert (await store.get(f"{await new_place(store)}raw_clips/old.mp4")).body == b"old clip"


async def test_forth_again_killed_at_any_call_is_resumed_by_the_next_one() -> None:
    fail_at = 1
    while True:
        store = await a_lived_in_bucket()
        await back(store)
        failing = FailingStore(store, fail_at=fail_at, late=fail_at % 2 == 0)
        try:
            await forward(failing).migrate(ANA)
        except Killed:
            pass
        report = await forward(store, seed=8).migrate(ANA)
        assert report.outcome in (Outcome.DONE, Outcome.NOTHING), (fail_at, report)
        body = (await store.get(f"{await new_place(store)}database.sqlite")).body
        assert (game_names(body), read_state(body).state) == (["opener", "since"], Mode.OPEN)
        if failing.untouched:
            break
        fail_at += 1
    assert fail_at > 20


async def test_games_go_back_with_what_came_since() -> None:
    store = await a_flat_bucket()
    games = FlatUnit(ENV, None)
    await forward(store).migrate(games)
    await store.put("dev/games/new.mp4", b"new game")
    report = await back(store, games)
    assert (report.outcome, report.copied.objects) == (Outcome.DONE, 1)
    assert await contents(store, "games/") == {"games/0a1b.mp4": b"everybody's game", "games/new.mp4": b"new game"}


async def test_a_file_that_is_no_database_goes_there_and_back_as_it_is() -> None:
    store = await a_flat_bucket({"ana/database.sqlite": b"encrypted, or rotten"})
    assert (await forward(store).migrate(ANA)).outcome is Outcome.DONE
    assert (await back(store)).outcome is Outcome.DONE
    assert await contents(store, "ana/") == {"ana/database.sqlite": b"encrypted, or rotten"}
