"""The old place goes only when nothing in it could be lost."""

from __future__ import annotations

from migrate.layout.finalizing import Finalizer
from migrate.layout.flat_unit import FlatUnit, units_with_records
from migrate.layout.report import Outcome
from storage.layout.relocation import DATABASE
from storage.objects.memory import MemoryStore
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


async def a_switched_bucket() -> MemoryStore:
    store = await a_flat_bucket()
    for user in ("ana", "ben", None):
        assert (await forward(store).migrate(FlatUnit(ENV, user))).outcome is Outcome.DONE
    return store


async def old_keys(store: MemoryStore) -> list[str]:
    return [key for key in await contents(store) if not key.startswith("dev/")]


async def test_everything_of_the_old_place_is_deleted_and_counted() -> None:
    store = await a_switched_bucket()
    reports = [
        await Finalizer(parts(store)).finalize(unit, execute=True) for unit in await units_with_records(store, ENV)
    ]
    assert {report.outcome for report in reports} == {Outcome.DONE}
    assert sum(report.deleted.objects for report in reports) == len(FILES)
    assert await old_keys(store) == []
    assert (await Finalizer(parts(store)).finalize(ANA, execute=True)).outcome is Outcome.NOTHING


async def test_a_dry_run_deletes_nothing() -> None:
    store = await a_switched_bucket()
    before = await contents(store)
    report = await Finalizer(parts(store)).finalize(ANA, execute=False)
    assert (report.outcome, report.notes) == (Outcome.PLANNED, ["5 objects in the old place to delete"])
    assert await contents(store) == before


async def test_a_unit_that_has_not_switched_is_refused() -> None:
    store = await a_flat_bucket()
    assert (await Finalizer(parts(store)).finalize(ANA, execute=True)).outcome is Outcome.NOTHING
    await forward(FailingStore(store, fail_at=0)).plan(ANA)
    failing = FailingStore(store, fail_at=20)
    try:
        await forward(failing).migrate(ANA)
    except Killed:
        pass
    report = await Finalizer(parts(store)).finalize(ANA, execute=True)
    assert report.outcome is Outcome.CONFLICT
    assert "expected it to be switched" in report.errors[0]


async def test_a_foreign_writer_of_the_old_database_stops_it_before_anything_is_deleted() -> None:
    store = await a_switched_bucket()
    await store.put(f"ana/{DATABASE}", a_database("foreign"))
    report = await Finalizer(parts(store)).finalize(ANA, execute=True)
    assert (report.outcome, report.errors) == (
        Outcome.CONFLICT,
        ["ana/database.sqlite was written after it was copied: a foreign writer"],
    )
    assert FILES.keys() <= (await contents(store)).keys()


async def test_a_foreign_writer_in_the_middle_keeps_the_old_database() -> None:
    store = await a_switched_bucket()

    class Writes(FailingStore):
        async def delete(self, key: str) -> None:
            await store.put(f"ana/{DATABASE}", a_database("foreign"))
            await self.inner.delete(key)

    report = await Finalizer(parts(Writes(store))).finalize(ANA, execute=True)
    assert report.outcome is Outcome.CONFLICT
    assert (await store.get(f"ana/{DATABASE}")).body == a_database("foreign")


async def test_a_file_that_came_since_stops_it_until_it_is_copied() -> None:
    store = await a_switched_bucket()
    await store.put("ana/uploads/late.mp4", b"late")
    report = await Finalizer(parts(store)).finalize(ANA, execute=True)
    assert report.errors == ["ana/uploads/late.mp4 is not copied yet: run migrate again"]
    await forward(store).migrate(ANA)
    assert (await Finalizer(parts(store)).finalize(ANA, execute=True)).outcome is Outcome.DONE


async def test_a_copy_that_is_gone_stops_it_unless_that_is_accepted() -> None:
    store = await a_switched_bucket()
    (copy,) = (key for key in await contents(store) if key.startswith("dev/") and "raw_clips" in key)
    await store.delete(copy)
    report = await Finalizer(parts(store)).finalize(ANA, execute=True)
    assert report.errors == [f"{copy} is not in the new place (1 such objects)"]
    assert (await Finalizer(parts(store), accept_missing=True).finalize(ANA, execute=True)).outcome is Outcome.DONE


async def test_another_environment_that_still_copies_from_the_old_place_stops_it() -> None:
    store = await a_switched_bucket()
    failing = FailingStore(store, fail_at=25)
    try:
        await forward(failing, env="prod").migrate(FlatUnit("prod", "ana"))
    except Killed:
        pass
    report = await Finalizer(parts(store)).finalize(ANA, execute=True)
    assert report.errors == ["users/ana: environment prod is copying from the same old place"]


async def test_a_finalize_killed_at_any_call_is_resumed_by_the_next_one() -> None:
    fail_at = 1
    while True:
        store = await a_switched_bucket()
        kept = {key: body for key, body in (await contents(store)).items() if key.startswith("dev/users")}
        failing = FailingStore(store, fail_at=fail_at)
        try:
            await Finalizer(parts(failing)).finalize(ANA, execute=True)
        except Killed:
            pass
        report = await Finalizer(parts(store, seed=8)).finalize(ANA, execute=True)
        assert report.outcome in (Outcome.DONE, Outcome.NOTHING), (fail_at, report)
        assert await contents(store, "ana/") == {}
        assert kept.items() <= (await contents(store)).items()
        if failing.untouched:
            break
        fail_at += 1
    assert fail_at > 15
