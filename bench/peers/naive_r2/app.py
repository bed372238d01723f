"""The older mode as it was: every request downloads the user's database, runs its SQL, uploads it again if it wrote.

The bucket is a folder; each call to it takes the injected delay on top. Nothing protects one request from another: two
writers at once lose one of the writes. It is here for its speed, not as something to run.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.peers.python_app import Run, Step
from bench.peers.schema import per_user_schema
from bench.peers.sqlite_files.app import execute


class FolderBucket:
    """Whole objects, `delay_s` per call. Files are replaced by rename; a bucket's own durability is not charged."""

    def __init__(self, folder: Path, delay_s: float) -> None:
        self._folder = folder
        self._delay_s = delay_s

    async def get(self, key: str) -> bytes | None:
        await asyncio.sleep(self._delay_s)
        try:
            return (self._folder / key).read_bytes()
        except FileNotFoundError:
            return None

    async def put(self, key: str, body: bytes) -> None:
        await asyncio.sleep(self._delay_s)
        part = self._folder / f"{key}.{id(body)}.part"
        part.write_bytes(body)
        part.replace(self._folder / key)


class LoadQuerySave:
    """One request: one or two calls to the bucket."""

    def __init__(self, bucket: FolderBucket) -> None:
        self._bucket = bucket
        self._schema = per_user_schema()

    async def run(self, user: str, steps: list[Step]) -> list[dict[str, Any]]:
        key = f"{user}.sqlite"
        body = await self._bucket.get(key)
        database = sqlite3.connect(":memory:", isolation_level=None)
        try:
            if body is None:
                database.executescript(self._schema)
            else:
                database.deserialize(body)
            before = database.total_changes
            database.execute("BEGIN")
            results = [execute(database, step) for step in steps]
            database.execute("COMMIT")
            if body is None or database.total_changes != before:
                await self._bucket.put(key, database.serialize())
        finally:
            database.close()
        return results


def opened(folder: Path, delay_s: float) -> Any:
    """For `build_app`."""

    @asynccontextmanager
    async def manager() -> AsyncIterator[Run]:
        yield LoadQuerySave(FolderBucket(folder, delay_s)).run

    return manager
