"""The warning about objects of the flat layout."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest

from holdfast.flat_keys import warn_of_flat_keys
from holdfast.settings import load_settings
from storage.clock import SystemClock
from storage.errors import Unavailable
from storage.objects.memory import MemoryStore
from storage.objects.port import ListPage
from storage.objects.settings import S3Settings


class Away(MemoryStore):
    async def list(self, prefix: str, *, start_after: str = "", limit: int = 1000) -> ListPage:
        raise Unavailable("the bucket is away")


async def warnings_of(caplog: pytest.LogCaptureFixture, root: Path | None, store: MemoryStore) -> list[str]:
    settings = load_settings({} if root is None else {"HOLDFAST_DATA_DIR": str(root)})
    if root is None:
        settings = dataclasses.replace(settings, s3=S3Settings(bucket="b"))
    with caplog.at_level(logging.WARNING):
        await warn_of_flat_keys(store, settings)
    return [record.getMessage() for record in caplog.records]


async def test_a_local_tree_with_flat_files_is_warned_about_with_their_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for key in ("ana/database.sqlite", "ana/games/x.mp4", "games/y.mp4"):
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(b"")
    (warning,) = await warnings_of(caplog, tmp_path, MemoryStore(SystemClock()))
    assert warning.startswith("the flat layout still holds 2 objects of 1 users and 1 games:")


async def test_a_bucket_with_flat_keys_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(SystemClock())
    await store.put("ana/database.sqlite", b"")
    (warning,) = await warnings_of(caplog, None, store)
    assert warning.startswith("the flat layout still holds 1 objects of 1 users:")


async def test_without_flat_keys_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "dev/users/ana").mkdir(parents=True)
    (tmp_path / "dev/users/ana/profiles.json").write_bytes(b"{}")
    assert await warnings_of(caplog, tmp_path, MemoryStore(SystemClock())) == []


async def test_a_store_that_cannot_be_counted_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert await warnings_of(caplog, None, Away(SystemClock())) == [
        "objects of the flat layout not counted: the bucket is away"
    ]
