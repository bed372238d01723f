"""A flat bucket to move, a store that counts its calls and dies at the Nth, and what the steps need."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, closing
from typing import Any, Literal, TypeVar

from migrate.layout.forward import ForwardMove
from migrate.layout.record_store import Parts
from storage.clock import Clock
from storage.objects.memory import MemoryStore
from storage.objects.port import ListPage, ObjectInfo, ObjectStore, ObjectStream, StoredObject

ENV = "dev"

T = TypeVar("T")


class QuickClock:
    """Time that runs only by sleeping."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


class Killed(BaseException):
    """The process is gone: nobody catches this."""


class FailingStore:
    """Passes everything on to `inner`; the call number `fail_at` raises `error`, before or after it was carried out."""

    def __init__(self, inner: ObjectStore, *, fail_at: int = 0, error: BaseException | None = None, late: bool = False):
        self.inner = inner
        self.calls = 0
        self._fail_at = fail_at
        self._error = error or Killed()
        self._late = late

    @property
    def untouched(self) -> bool:
        return self.calls < self._fail_at

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        self.calls += 1
        fails = self.calls == self._fail_at
        if fails and not self._late:
            work.close()
            raise self._error
        result = await work
        if fails:
            raise self._error
        return result

    async def get(self, key: str) -> StoredObject:
        return await self._run(self.inner.get(key))

    @asynccontextmanager
    async def open(self, key: str, *, chunk_bytes: int = 1 << 20) -> AsyncIterator[ObjectStream]:
        async with self.inner.open(key, chunk_bytes=chunk_bytes) as stream:
            yield stream

    async def head(self, key: str) -> ObjectInfo:
        return await self._run(self.inner.head(key))

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        if_none_match: Literal["*"] | None = None,
        if_match: str | None = None,
    ) -> ObjectInfo:
        return await self._run(
            self.inner.put(
                key, body, metadata=metadata, content_type=content_type, if_none_match=if_none_match, if_match=if_match
            )
        )

    async def put_stream(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> ObjectInfo:
        return await self._run(self.inner.put_stream(key, chunks, metadata=metadata, content_type=content_type))

    async def delete(self, key: str) -> None:
        await self._run(self.inner.delete(key))

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 1000) -> ListPage:
        return await self._run(self.inner.list(prefix, start_after=start_after, limit=limit))

    async def copy(self, source: str, target: str, *, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        return await self._run(self.inner.copy(source, target, metadata=metadata))

    def presign_get(self, key: str, *, expires_s: int) -> str:
        return self.inner.presign_get(key, expires_s=expires_s)

    def presign_put(self, key: str, *, expires_s: int, content_type: str | None = None) -> str:
        return self.inner.presign_put(key, expires_s=expires_s, content_type=content_type)

    async def close(self) -> None:
        pass


def parts(store: ObjectStore, *, clock: Clock | None = None, env: str = ENV, seed: int = 7) -> Parts:
    """Everything a step works with, from one seed."""
    rng = random.Random(seed)
    return Parts(store, env, clock or QuickClock(), rng, rng.randbytes, run="run-1", by="ana")


def forward(store: ObjectStore, **kind: Any) -> ForwardMove:
    return ForwardMove(parts(store, **kind))


def a_database(*names: str) -> bytes:
    """A SQLite file with one table of games."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE games (id INTEGER PRIMARY KEY, name TEXT)")
        connection.executemany("INSERT INTO games (name) VALUES (?)", [(name,) for name in names])
        connection.commit()
        return connection.serialize()


def game_names(body: bytes) -> list[str]:
    """What a file made by `a_database` holds now."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(body)
        return [name for (name,) in connection.execute("SELECT name FROM games ORDER BY id")]


def tables(body: bytes) -> list[str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(body)
        return [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]


FILES = {
    "ana/database.sqlite": a_database("opener"),
    "ana/games/432b0e2bffba.mp4": b"ana's game",
    "ana/raw_clips/01db510ff166.mp4": b"clip",
    "ana/log/notes.txt": b"a folder with the log's name",
    "ana/thing/nobody/knows.bin": b"unknown folder",
    "ben/database.sqlite": a_database("away"),
    "games/0a1b.mp4": b"everybody's game",
}


async def a_flat_bucket(files: Mapping[str, bytes] = FILES) -> MemoryStore:
    store = MemoryStore(QuickClock())
    for key, body in files.items():
        await store.put(key, body)
    return store


async def contents(store: ObjectStore, prefix: str = "") -> dict[str, bytes]:
    """Every object below a prefix."""
    page = await store.list(prefix)
    return {info.key: (await store.get(info.key)).body for info in page.objects}
