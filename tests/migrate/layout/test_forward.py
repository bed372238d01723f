"""From flat to profiled: what moves where, who is met on the way, and a run that dies at every step."""

from __future__ import annotations

import asyncio
import json

import pytest

from migrate.layout.flat_unit import FlatUnit, units_in_old_place, units_with_records
from migrate.layout.record_store import RecordStore
from migrate.layout.report import Outcome, UnitReport, total
from storage.errors import OutcomeUnknown, Unavailable
from storage.layout.address import Address
from storage.layout.keys import database_key, profiles_key, selected_profile_key
from storage.layout.move_record import MoveState
from storage.objects.memory import MemoryStore
from storage.objects.port import ObjectStore
from storage.r2_sqlite.file_state import FileState, Mode, tombstone_body, with_state
from tests.migrate.layout.flat_bucket import (
    ENV,
    FILES,
    FailingStore,
    Killed,
    a_database,
    a_flat_bucket,
    contents,
    forward,
    parts,
)

ANA = FlatUnit(ENV, "ana")
GAMES = FlatUnit(ENV, None)


async def migrate_all(store: ObjectStore, **kind: object) -> list[UnitReport]:
    move = forward(store, **kind)
    return [await move.migrate(unit) async for unit in units_in_old_place(store, ENV)]


async def state_of(store: ObjectStore, unit: FlatUnit) -> MoveState:
    record = await RecordStore(parts(store)).read(unit.name)
    assert record is not None
    return record.state


async def profile_of(store: ObjectStore, user: str) -> str:
    document = json.loads((await store.get(profiles_key(ENV, user))).body)
    return str(document["default"])


async def test_every_object_moves_unknown_folders_too_and_the_old_ones_stay() -> None:
    store = await a_flat_bucket()
    reports = await migrate_all(store)
    assert [(report.unit, report.outcome) for report in reports] == [
        ("users/ana", Outcome.DONE),
        ("users/ben", Outcome.DONE),
        ("games", Outcome.DONE),
    ]
    ana = await profile_of(store, "ana")
    assert await contents(store, f"dev/users/ana/profiles/{ana}/") == {
        f"dev/users/ana/profiles/{ana}/database.sqlite": FILES["ana/database.sqlite"],
        f"dev/users/ana/profiles/{ana}/games/432b0e2bffba.mp4": b"ana's game",
        f"dev/users/ana/profiles/{ana}/raw_clips/01db510ff166.mp4": b"clip",
        f"dev/users/ana/profiles/{ana}/_log/notes.txt": b"a folder with the log's name",
        f"dev/users/ana/profiles/{ana}/thing/nobody/knows.bin": b"unknown folder",
    }
    assert await contents(store, "dev/games/") == {"dev/games/0a1b.mp4": b"everybody's game"}
    assert FILES.items() <= (await contents(store)).items()


async def test_counts_of_copied_failed_and_bytes_before_and_after_agree() -> None:
    store = await a_flat_bucket()
    whole = total(await migrate_all(store))
    assert (whole.failed, whole.agrees) == (0, True)
    assert (whole.copied.objects, whole.copied.bytes) == (len(FILES), sum(map(len, FILES.values())))
    assert whole.before == whole.copied


async def test_the_documents_name_one_nameless_default_profile_that_is_selected() -> None:
    store = await a_flat_bucket()
    await migrate_all(store)
    profile = await profile_of(store, "ana")
    document = json.loads((await store.get(profiles_key(ENV, "ana"))).body)
    assert document == {"default": profile, "profiles": {profile: {"name": None}}}
    assert json.loads((await store.get(selected_profile_key(ENV, "ana"))).body) == {"profileId": profile}
    assert len(profile) == 8


async def test_a_dry_run_writes_nothing_and_says_what_it_would_do() -> None:
    store = await a_flat_bucket()
    report = await forward(store).plan(ANA)
    assert (report.outcome, report.before.objects, report.after.objects) == (Outcome.PLANNED, 5, 0)
    assert report.notes[0].startswith("4 files to copy, 1 databases")
    assert await contents(store) == dict(FILES)


async def test_a_run_killed_at_any_call_is_resumed_by_the_next_one() -> None:
    for late in (False, True):
        fail_at = 1
        while True:
            store = await a_flat_bucket()
            failing = FailingStore(store, fail_at=fail_at, late=late)
            try:
                await migrate_all(failing)
            except Killed:
                pass
            reports = await migrate_all(store, seed=8)
            assert all(r.outcome in (Outcome.DONE, Outcome.NOTHING) and r.agrees for r in reports), (fail_at, reports)
            await assert_moved(store)
            if failing.untouched:
                break
            fail_at += 1
        assert fail_at > 60


async def assert_moved(store: MemoryStore) -> None:
    for user in ("ana", "ben"):
        assert await state_of(store, FlatUnit(ENV, user)) is MoveState.SWITCHED
        address = Address.parse(user, await profile_of(store, user))
        assert (await store.get(database_key(ENV, address))).body == FILES[f"{user}/database.sqlite"]
        copies = await contents(store, f"dev/users/{user}/profiles/")
        assert len(copies) == sum(key.startswith(f"{user}/") for key in FILES), "one profile, nothing twice"
    assert FILES.items() <= (await contents(store)).items()


async def test_a_run_whose_store_loses_any_answer_is_put_right_by_the_next_one() -> None:
    fail_at = 1
    while True:
        store = await a_flat_bucket()
        failing = FailingStore(store, fail_at=fail_at, late=True, error=OutcomeUnknown("no answer"))
        try:
            await migrate_all(failing)
        except OutcomeUnknown:
            pass  # the listing of the root folders
        await migrate_all(store, seed=8)
        await assert_moved(store)
        if failing.untouched:
            break
        fail_at += 1
    assert fail_at > 60


async def test_a_copy_that_is_refused_fails_its_user_and_no_other() -> None:
    store = await a_flat_bucket()

    class RefusesClips(FailingStore):
        async def copy(self, source: str, target: str, **kind: object) -> object:  # type: ignore[override]
            if "raw_clips" in source:
                raise Unavailable("429")
            return await self.inner.copy(source, target)

    reports = await migrate_all(RefusesClips(store))  # type: ignore[arg-type]
    assert [report.outcome for report in reports] == [Outcome.FAILED, Outcome.DONE, Outcome.DONE]
    assert (reports[0].failed, reports[0].errors) == (1, ["ana/raw_clips/01db510ff166.mp4: 429"])
    assert not await contents(store, profiles_key(ENV, "ana")), "what is not whole is not published"
    await migrate_all(store)
    await assert_moved(store)


async def test_a_second_run_does_nothing() -> None:
    store = await a_flat_bucket()
    await migrate_all(store)
    before = await contents(store)
    reports = await migrate_all(store, seed=99)
    assert {report.outcome for report in reports} == {Outcome.NOTHING}
    assert await contents(store) == before


async def test_two_runs_at_once_agree_on_the_profile() -> None:
    store = await a_flat_bucket()
    await asyncio.gather(
        *(forward(FailingStore(store), seed=seed).migrate(ANA) for seed in (1, 2, 3)),
    )
    await forward(store, seed=4).migrate(ANA)
    copies = await contents(store, "dev/users/ana/profiles/")
    assert len({key.split("/")[4] for key in copies}) == 1
    assert await state_of(store, ANA) is MoveState.SWITCHED


async def test_profiles_that_the_service_made_first_are_adopted() -> None:
    store = await a_flat_bucket()
    await store.put(profiles_key(ENV, "ana"), b'{"default": "feed0001", "profiles": {"feed0001": {"name": "A"}}}')
    report = await forward(store).migrate(ANA)
    assert report.outcome is Outcome.DONE
    assert (await store.get("dev/users/ana/profiles/feed0001/database.sqlite")).body == FILES["ana/database.sqlite"]
    assert json.loads((await store.get(profiles_key(ENV, "ana"))).body)["profiles"] == {"feed0001": {"name": "A"}}


async def test_profiles_that_the_service_makes_during_the_copy_are_adopted() -> None:
    store = await a_flat_bucket()

    class Races(FailingStore):
        async def put(self, key: str, body: bytes, **kind: object) -> object:  # type: ignore[override]
            if key == profiles_key(ENV, "ana") and not await contents(store, key):
                await store.put(key, b'{"default": "feed0001", "profiles": {"feed0001": {"name": null}}}')
            return await self.inner.put(key, body, **kind)  # type: ignore[arg-type]

    report = await forward(Races(store)).migrate(ANA)  # type: ignore[arg-type]
    assert report.outcome is Outcome.DONE
    assert (await store.get("dev/users/ana/profiles/feed0001/database.sqlite")).body == FILES["ana/database.sqlite"]
    assert "left over" in report.notes[0]


async def test_an_actor_that_lives_in_the_new_place_is_never_overwritten() -> None:
    store = await a_flat_bucket()
    await store.put(profiles_key(ENV, "ana"), b'{"default": "feed0001", "profiles": {"feed0001": {"name": null}}}')
    tombstone = tombstone_body(FileState(Mode.ACTOR, 1, "n1"))
    await store.put("dev/users/ana/profiles/feed0001/database.sqlite", tombstone)
    report = await forward(store).migrate(ANA)
    assert report.outcome is Outcome.CONFLICT
    assert "found a file in state actor" in report.errors[0]
    assert (await store.get("dev/users/ana/profiles/feed0001/database.sqlite")).body == tombstone
    assert (await store.get("ana/database.sqlite")).body == FILES["ana/database.sqlite"]


async def test_a_tombstone_that_wins_the_race_for_the_new_place_stops_the_move() -> None:
    store = await a_flat_bucket()
    tombstone = tombstone_body(FileState(Mode.ACTOR, 1, "n1"))

    class Races(FailingStore):
        async def put(self, key: str, body: bytes, **kind: object) -> object:  # type: ignore[override]
            if key.endswith("database.sqlite") and not await contents(store, key):
                await store.put(key, tombstone)
            return await self.inner.put(key, body, **kind)  # type: ignore[arg-type]

    report = await forward(Races(store)).migrate(ANA)  # type: ignore[arg-type]
    assert report.outcome is Outcome.CONFLICT
    assert tombstone in (await contents(store, "dev/users/ana/")).values()


async def test_what_the_old_service_writes_during_the_copy_arrives_too() -> None:
    store = await a_flat_bucket()
    later = a_database("opener", "second")

    class Writes(FailingStore):
        async def copy(self, source: str, target: str, **kind: object) -> object:  # type: ignore[override]
            if "raw_clips" in source and (await store.get("ana/database.sqlite")).body != later:
                await store.put("ana/database.sqlite", later)
                await store.put("ana/raw_clips/late.mp4", b"late")
            return await self.inner.copy(source, target)

    report = await forward(Writes(store)).migrate(ANA)  # type: ignore[arg-type]
    assert (report.outcome, report.before.objects) == (Outcome.DONE, 6)
    found = await contents(store, "dev/users/ana/profiles/")
    assert {later, b"late"} <= set(found.values())


async def test_a_database_written_after_its_copy_is_copied_again() -> None:
    store = await a_flat_bucket()
    later = a_database("opener", "second")

    class Writes(FailingStore):
        async def put(self, key: str, body: bytes, **kind: object) -> object:  # type: ignore[override]
            end = await self.inner.put(key, body, **kind)  # type: ignore[arg-type]
            if key.startswith("dev/users") and key.endswith("database.sqlite"):
                await store.put("ana/database.sqlite", later)
            return end

    report = await forward(Writes(store)).migrate(ANA)  # type: ignore[arg-type]
    assert report.outcome is Outcome.DONE
    assert later in (await contents(store, "dev/users/ana/profiles/")).values()


async def test_an_old_service_that_never_stops_writing_is_not_switched() -> None:
    store = await a_flat_bucket()
    count = 0

    class Writes(FailingStore):
        async def put(self, key: str, body: bytes, **kind: object) -> object:  # type: ignore[override]
            nonlocal count
            end = await self.inner.put(key, body, **kind)  # type: ignore[arg-type]
            if key.startswith("dev/users") and key.endswith("database.sqlite"):
                count += 1
                await store.put("ana/database.sqlite", a_database(*map(str, range(count))))
            return end

    report = await forward(Writes(store)).migrate(ANA)  # type: ignore[arg-type]
    assert (report.outcome, await state_of(store, ANA)) == (Outcome.FAILED, MoveState.COPYING)
    assert "is the old service on?" in report.errors[0]


async def test_what_r2_mode_wrote_in_a_published_profile_survives_a_resumed_run() -> None:
    store = await a_flat_bucket()
    await store.put(profiles_key(ENV, "ana"), b'{"default": "feed0001", "profiles": {"feed0001": {"name": null}}}')
    key = "dev/users/ana/profiles/feed0001/database.sqlite"
    saved = with_state(a_database("opener", "saved"), FileState(Mode.OPEN, 0, "nonce", ("put-1",)))

    class Saves(FailingStore):
        async def list(self, prefix: str, **kind: object) -> object:  # type: ignore[override]
            current = await contents(store, key)
            if current.get(key) == FILES["ana/database.sqlite"]:
                await store.put(key, saved)
                raise Killed
            return await self.inner.list(prefix, **kind)  # type: ignore[arg-type]

    with pytest.raises(Killed):
        await forward(Saves(store)).migrate(ANA)  # type: ignore[arg-type]
    assert (await forward(store).migrate(ANA)).outcome is Outcome.DONE
    assert (await store.get(key)).body == saved


async def test_a_file_that_differs_in_the_new_place_is_never_overwritten() -> None:
    store = await a_flat_bucket()
    await store.put("dev/games/0a1b.mp4", b"another game")
    report = await forward(store).migrate(GAMES)
    assert report.outcome is Outcome.CONFLICT
    assert await contents(store, "dev/games/") == {"dev/games/0a1b.mp4": b"another game"}


async def test_files_that_come_through_an_old_link_after_the_switch_are_copied_by_the_next_run() -> None:
    store = await a_flat_bucket()
    await migrate_all(store)
    await store.put("ana/uploads/late.mp4", b"late")
    report = await forward(store).migrate(ANA)
    assert (report.outcome, report.copied.objects, report.agrees) == (Outcome.DONE, 1, True)
    assert b"late" in (await contents(store, "dev/users/ana/profiles/")).values()
    assert (await forward(store).migrate(ANA)).outcome is Outcome.NOTHING


async def test_a_database_written_in_the_old_place_after_the_switch_is_reported_not_carried() -> None:
    store = await a_flat_bucket()
    await migrate_all(store)
    await store.put("ana/database.sqlite", a_database("foreign"))
    report = await forward(store).migrate(ANA)
    assert (report.outcome, report.errors) == (
        Outcome.CONFLICT,
        ["ana/database.sqlite was written in the old place after the switch: by whom?"],
    )


async def test_a_tree_with_profiles_but_without_environment_moves_profile_by_profile() -> None:
    documents = {
        "cal/profiles.json": (
            b'{"default": "aaaa0001", "profiles": {"aaaa0001": {"name": "Cal"}, "aaaa0002": {"name": null}}}'
        ),
        "cal/selected-profile.json": b'{"profileId": "aaaa0002"}',
    }
    files = {
        "cal/profiles/aaaa0001/database.sqlite": a_database("one"),
        "cal/profiles/aaaa0002/database.sqlite": a_database("two"),
        "cal/profiles/aaaa0002/raw_clips/x.mp4": b"x",
    }
    store = await a_flat_bucket({**documents, **files})
    report = await forward(store).migrate(FlatUnit(ENV, "cal"))
    assert (report.outcome, report.copied.objects) == (Outcome.DONE, 3)
    assert await contents(store, "dev/users/cal/profiles/") == {f"dev/users/{key}": body for key, body in files.items()}
    assert json.loads((await store.get(profiles_key(ENV, "cal"))).body) == json.loads(documents["cal/profiles.json"])
    assert json.loads((await store.get(selected_profile_key(ENV, "cal"))).body) == {"profileId": "aaaa0002"}


async def test_two_databases_that_want_one_place_stop_the_move() -> None:
    store = await a_flat_bucket(
        {"cal/database.sqlite": a_database("flat"), "cal/profiles/aaaa0001/database.sqlite": a_database("early")}
    )
    await store.put(profiles_key(ENV, "cal"), b'{"default": "aaaa0001", "profiles": {"aaaa0001": {"name": null}}}')
    report = await forward(store).migrate(FlatUnit(ENV, "cal"))
    assert report.outcome is Outcome.CONFLICT
    assert "both move to" in report.errors[0]


async def test_units_are_users_and_games_other_layouts_are_stepped_over() -> None:
    extra = ("dev/games/a.mp4", "prod/users/x/y", "users/u/projects/p/output/a.mp4", "bare.mp4", "bad id/x", "ana.b/x")
    store = await a_flat_bucket({**FILES, **dict.fromkeys(extra, b"")})
    assert [unit.name async for unit in units_in_old_place(store, ENV)] == [
        "users/ana.b", "users/ana", "users/ben", "games",
    ]  # fmt: skip
    await forward(store).migrate(ANA)
    assert [unit.name for unit in await units_with_records(store, ENV)] == ["users/ana"]


async def test_a_database_that_changes_while_the_new_place_is_published_is_not_switched_over() -> None:
    store = await a_flat_bucket()
    later = a_database("opener", "during")

    class Writes(FailingStore):
        async def put(self, key: str, body: bytes, **kind: object) -> object:  # type: ignore[override]
            if key == selected_profile_key(ENV, "ana"):
                await store.put("ana/database.sqlite", later)
            return await self.inner.put(key, body, **kind)  # type: ignore[arg-type]

    report = await forward(Writes(store)).migrate(ANA)  # type: ignore[arg-type]
    assert (report.outcome, await state_of(store, ANA)) == (Outcome.FAILED, MoveState.COPYING)
    assert (await forward(store).migrate(ANA)).outcome is Outcome.DONE
    assert later in (await contents(store, "dev/users/ana/profiles/")).values()


async def test_what_r2_mode_saved_while_the_old_service_wrote_on_is_not_overwritten() -> None:
    store = await a_flat_bucket()
    profile = ""

    class Writes(FailingStore):
        async def put(self, key: str, body: bytes, **kind: object) -> object:  # type: ignore[override]
            nonlocal profile
            end = await self.inner.put(key, body, **kind)  # type: ignore[arg-type]
            if key == profiles_key(ENV, "ana"):
                profile = await profile_of(store, "ana")
                saved = with_state(a_database("saved"), FileState(Mode.OPEN, 0, "nonce", ("put-1",)))
                await store.put(f"dev/users/ana/profiles/{profile}/database.sqlite", saved)
                await store.put("ana/database.sqlite", a_database("old service"))
            return end

    await forward(Writes(store)).migrate(ANA)  # type: ignore[arg-type]
    report = await forward(store).migrate(ANA)
    assert (report.outcome, "found a file in state open" in report.errors[0]) == (Outcome.CONFLICT, True)
    both = await contents(store)
    assert both["ana/database.sqlite"] == a_database("old service")
    assert b"saved" in both[f"dev/users/ana/profiles/{profile}/database.sqlite"]
