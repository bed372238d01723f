"""The local copy: what the version is, and that neither side's changes are ever overwritten."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from storage.errors import OutcomeUnknown
from storage.r2_sqlite.errors import ChangingModes, FileMoved, LocalConflict
from storage.r2_sqlite.file_state import Mode, read_state
from storage.r2_sqlite.local_copy import (
    LocalCopy,
    sync_database_from_r2_if_newer,
    sync_database_to_r2_with_version,
)
from storage.r2_sqlite.transition import Event
from tests.actors.virtual_time import VirtualClock, virtual
from tests.storage.r2_sqlite.bucket import ADDRESS, ENV, KEY, Bucket, HeldFiles, a_body, a_gateway, add, words


def a_copy(bucket: Bucket, folder: Path, *, seed: int = 5) -> LocalCopy:
    path = folder / KEY
    return LocalCopy(bucket.store, ENV, ADDRESS, path, VirtualClock(), random.Random(seed))


def write_locally(copy: LocalCopy, word: str) -> None:
    """As a program does that opens the copy."""
    _, body = add(word)(copy.path.read_bytes())
    assert body is not None
    copy.path.write_bytes(body)


def local_words(copy: LocalCopy) -> list[str]:
    return words(copy.path.read_bytes())[0]


@virtual
async def test_a_newer_file_is_taken_once(tmp_path: Path) -> None:
    bucket = await Bucket.holding("a")
    copy = a_copy(bucket, tmp_path)
    assert [await sync_database_from_r2_if_newer(copy) for _ in range(2)] == [True, False]
    assert local_words(copy) == ["a"]
    await a_gateway(bucket.store).execute(ADDRESS, add("b"))
    assert await sync_database_from_r2_if_newer(copy)
    assert local_words(copy) == ["a", "b"]


@virtual
async def test_a_changed_copy_is_stored_and_its_version_is_the_etag(tmp_path: Path) -> None:
    bucket = await Bucket.holding("a")
    copy = a_copy(bucket, tmp_path)
    await sync_database_from_r2_if_newer(copy)
    write_locally(copy, "b")
    version = await sync_database_to_r2_with_version(copy)
    assert version == (await bucket.store.inner.head(KEY)).etag
    assert await bucket.words() == ["a", "b"]
    puts = len(bucket.store.puts())
    assert await sync_database_to_r2_with_version(copy) == version
    assert len(bucket.store.puts()) == puts
    assert not await sync_database_from_r2_if_newer(copy)


@virtual
async def test_a_first_copy_begins_the_file(tmp_path: Path) -> None:
    bucket = Bucket(HeldFiles(VirtualClock()))
    copy = a_copy(bucket, tmp_path)
    assert await sync_database_to_r2_with_version(copy) is None
    assert not await sync_database_from_r2_if_newer(copy)
    copy.path.parent.mkdir(parents=True)
    copy.path.write_bytes(a_body("a"))
    assert await sync_database_to_r2_with_version(copy) is not None
    assert (await bucket.words(), (await bucket.state()).state) == (["a"], Mode.OPEN)


@virtual
async def test_where_both_sides_changed_neither_is_overwritten(tmp_path: Path) -> None:
    bucket = await Bucket.holding("a")
    copy = a_copy(bucket, tmp_path)
    await sync_database_from_r2_if_newer(copy)
    await a_gateway(bucket.store).execute(ADDRESS, add("theirs"))
    write_locally(copy, "mine")
    for sync in (sync_database_from_r2_if_newer, sync_database_to_r2_with_version):
        with pytest.raises(LocalConflict):
            await sync(copy)
    assert (await bucket.words(), local_words(copy)) == (["a", "theirs"], ["a", "mine"])


@virtual
async def test_a_copy_of_unknown_origin_overwrites_nothing_and_is_not_overwritten(tmp_path: Path) -> None:
    bucket = await Bucket.holding("a")
    copy = a_copy(bucket, tmp_path)
    copy.path.parent.mkdir(parents=True)
    copy.path.write_bytes(a_body("x"))
    for sync in (sync_database_from_r2_if_newer, sync_database_to_r2_with_version):
        with pytest.raises(LocalConflict):
            await sync(copy)


@virtual
async def test_an_upload_that_loses_a_race_is_a_conflict(tmp_path: Path) -> None:
    bucket = await Bucket.holding("a")
    copy = a_copy(bucket, tmp_path)
    await sync_database_from_r2_if_newer(copy)
    write_locally(copy, "mine")
    bucket.store.hold("put")
    uploading = asyncio.create_task(sync_database_to_r2_with_version(copy))
    held = await bucket.store.next_held()
    bucket.store.let_go()
    await a_gateway(bucket.store).execute(ADDRESS, add("theirs"))
    await held.complete()
    with pytest.raises(LocalConflict):
        await uploading
    assert await bucket.words() == ["a", "theirs"]


@virtual
async def test_an_upload_whose_answer_was_lost_for_good_is_found_by_the_next(tmp_path: Path) -> None:
    bucket = await Bucket.holding("a")
    copy = a_copy(bucket, tmp_path)
    await sync_database_from_r2_if_newer(copy)
    write_locally(copy, "b")
    bucket.store.hold("put")
    uploading = asyncio.create_task(sync_database_to_r2_with_version(copy))
    held = await bucket.store.next_held()
    await held.duplicate()
    bucket.store.broken = "away"
    bucket.store.let_go()
    held.fail(OutcomeUnknown("no answer"))
    with pytest.raises(OutcomeUnknown):
        await uploading
    bucket.store.broken = None
    assert await sync_database_to_r2_with_version(copy) == (await bucket.store.inner.head(KEY)).etag
    assert await bucket.words() == ["a", "b"]


@virtual
async def test_a_file_that_is_not_open_is_left_alone(tmp_path: Path) -> None:
    bucket = await Bucket.holding("a")
    copy = a_copy(bucket, tmp_path)
    await sync_database_from_r2_if_newer(copy)
    write_locally(copy, "late")
    await bucket.change(Event.SEAL)
    for sync in (sync_database_from_r2_if_newer, sync_database_to_r2_with_version):
        with pytest.raises(ChangingModes):
            await sync(copy)
    await bucket.change(Event.CUT_OVER)
    for sync in (sync_database_from_r2_if_newer, sync_database_to_r2_with_version):
        with pytest.raises(FileMoved):
            await sync(copy)
    assert await bucket.words() == ["a"]


@virtual
async def test_a_copy_whose_log_holds_changes_is_not_stored_without_them(tmp_path: Path) -> None:
    bucket = await Bucket.holding("a")
    copy = a_copy(bucket, tmp_path)
    await sync_database_from_r2_if_newer(copy)
    wal = copy.path.with_name("database.sqlite-wal")
    wal.write_bytes(b"frames")
    with pytest.raises(LocalConflict, match="wal"):
        await sync_database_to_r2_with_version(copy)
    wal.write_bytes(b"")
    assert await sync_database_to_r2_with_version(copy) is not None


@virtual
async def test_a_crash_between_copy_and_version_never_overwrites(tmp_path: Path) -> None:
    bucket = await Bucket.holding("a")
    copy = a_copy(bucket, tmp_path)
    await sync_database_from_r2_if_newer(copy)
    await a_gateway(bucket.store).execute(ADDRESS, add("b"))
    copy.path.write_bytes((await bucket.store.inner.get(KEY)).body)  # downloaded, the version not yet written
    for sync in (sync_database_from_r2_if_newer, sync_database_to_r2_with_version):
        with pytest.raises(LocalConflict):
            await sync(copy)
    assert await bucket.words() == ["a", "b"]


@virtual
async def test_the_copy_is_a_database_that_says_its_state(tmp_path: Path) -> None:
    bucket = await Bucket.holding("a")
    copy = a_copy(bucket, tmp_path)
    await a_gateway(bucket.store).execute(ADDRESS, add("b"))
    await sync_database_from_r2_if_newer(copy)
    assert read_state(copy.path.read_bytes()) == await bucket.state()
