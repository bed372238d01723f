"""Cleaning by directory, project and scene: counts, errors, neighbours, what is never taken."""

from __future__ import annotations

import logging

import pytest

from storage.cleaning.deletion import clear_bucket, delete_directory, delete_project_files, delete_scene_files
from storage.clock import SystemClock
from storage.errors import StoreRefused, Unavailable
from storage.layout.part import InvalidKey
from storage.objects.memory import MemoryStore
from storage.objects.port import ListPage

P1 = "users/u1/projects/p1/"
KEYS = (
    f"{P1}scenes/s1/image/a.jpg",
    f"{P1}scenes/s1/audio/a.mp3",
    f"{P1}scenes/s10/image/a.jpg",
    f"{P1}output/a.mp4",
    "users/u1/projects/p10/output/a.mp4",
    "users/default/projects/p1/output/a.mp4",
)
LIVING = (
    "dev/users/ana/profiles/a1/database.sqlite",
    "dev/users/ana/profiles/a1/log/0000/0000000000000001-0000000000000001.ltx",
    "dev/users/ana/profiles.json",
    "dev/flags/rollout",
    "ana/database.sqlite",
)


async def a_bucket(*keys: str) -> MemoryStore:
    store = MemoryStore(SystemClock())
    for key in keys or KEYS:
        await store.put(key, b"12345")
    return store


async def keys_of(store: MemoryStore) -> set[str]:
    return {info.key for info in (await store.list("")).objects}


async def test_a_project_goes_without_its_neighbour_whose_name_begins_alike() -> None:
    store = await a_bucket()
    report = await delete_project_files(store, "p1", "u1")
    assert (report.deleted_count, report.failed_count, report.total_bytes) == (4, 0, 20)
    assert await keys_of(store) == set(KEYS[4:])


async def test_a_scene_goes_without_its_neighbour_whose_name_begins_alike() -> None:
    store = await a_bucket()
    report = await delete_scene_files(store, "p1", "s1", "u1")
    assert report.deleted_count == 2
    assert await keys_of(store) == set(KEYS[2:])


async def test_without_a_user_it_is_the_default_one() -> None:
    store = await a_bucket()
    assert (await delete_project_files(store, "p1")).deleted_count == 1
    assert await keys_of(store) == set(KEYS[:5])


@pytest.mark.parametrize("directory", ["users/u1/projects/p1", "users/u1/projects/p1/"])
async def test_a_directory_goes_with_or_without_its_slash(directory: str) -> None:
    store = await a_bucket()
    assert (await delete_directory(store, directory)).deleted_count == 4


@pytest.mark.parametrize("directory", ["", "/", "users//p1", "users/../dev", "./users", "a\\b"])
async def test_the_root_and_steps_up_are_refused(directory: str) -> None:
    store = await a_bucket()
    with pytest.raises(InvalidKey):
        await delete_directory(store, directory)
    assert await keys_of(store) == set(KEYS)


async def test_databases_logs_and_documents_are_kept_by_everything_but_clearing_the_bucket() -> None:
    store = await a_bucket(*LIVING, "dev/users/ana/profiles/a1/raw_clips/x.mp4")
    for directory in ("dev", "ana"):
        await delete_directory(store, directory)
    assert await keys_of(store) == set(LIVING)
    assert (await clear_bucket(store)).deleted_count == len(LIVING)
    assert await keys_of(store) == set()


async def test_a_dry_run_counts_and_deletes_nothing() -> None:
    store = await a_bucket()
    report = await delete_directory(store, P1, execute=False)
    assert (report.deleted_count, report.total_bytes) == (4, 20)
    assert await keys_of(store) == set(KEYS)


class Refuses(MemoryStore):
    """A store that refuses to delete clips and cannot be listed twice."""

    listings = 0

    async def delete(self, key: str) -> None:
        if "bad" in key:
            raise StoreRefused(f"{key} is locked")
        await super().delete(key)

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 1000) -> ListPage:
        self.listings += 1
        if self.listings > 1:
            raise Unavailable("the bucket is away")
        return await super().list(prefix, start_after=start_after, limit=limit)


async def test_what_fails_stops_nothing_and_the_first_five_errors_are_listed(caplog: pytest.LogCaptureFixture) -> None:
    store = Refuses(SystemClock())
    for number in range(7):
        await store.put(f"d/bad{number}", b"1")
    await store.put("d/good", b"12")
    with caplog.at_level(logging.INFO):
        report = await delete_directory(store, "d")
    assert (report.deleted_count, report.failed_count, report.total_bytes, report.complete) == (1, 7, 2, False)
    assert report.errors == [f"d/bad{number}: d/bad{number} is locked" for number in range(5)]
    assert [record.message for record in caplog.records] == ["cleaning started", "cleaning partial"]
    assert caplog.records[1].__dict__["failed_count"] == 7
    assert len(caplog.records[1].__dict__["errors"]) == 5


async def test_success_and_failure_are_one_structured_line_each(caplog: pytest.LogCaptureFixture) -> None:
    store = Refuses(SystemClock())
    await store.put("d/good", b"12")
    with caplog.at_level(logging.INFO):
        await delete_directory(store, "d")
        with pytest.raises(Unavailable):
            await delete_directory(store, "d")
    assert [record.message for record in caplog.records] == [
        "cleaning started",
        "cleaning succeeded",
        "cleaning started",
        "cleaning failed",
    ]
    assert (caplog.records[1].__dict__["deleted_count"], caplog.records[1].__dict__["prefix"]) == (1, "d/")
    assert caplog.records[3].__dict__["error"] == "the bucket is away"
