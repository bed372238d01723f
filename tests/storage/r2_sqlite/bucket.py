"""One file of r2 mode under test: a store that can be held, gateways over it, and a ledger kept as plain text.

What runs here knows no SQL: the file's user data is one table that plain SQLite writes. `add` is a write that appends a
word and answers what the file then holds, `words` reads it: a word that is there twice was run twice.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import apsw

from actors.durability.offload import inline
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.objects.port import ObjectStore, ObjectStream
from storage.r2_sqlite.change import change_file
from storage.r2_sqlite.file_state import FileState, read_state
from storage.r2_sqlite.files import R2Files
from storage.r2_sqlite.rules import FileRules
from storage.r2_sqlite.settings import R2ModeSettings
from storage.r2_sqlite.transition import Event
from tests.actors.held_store import HeldStore, Sent
from tests.actors.virtual_time import VirtualClock

ENV = "dev"
ADDRESS = Address("alice", "main")
KEY = database_key(ENV, ADDRESS)

Words = list[str]


class HeldFiles(HeldStore):
    """Streamed downloads can be held and fail like gets: a whole file is read by one."""

    def open(self, key: str, *, chunk_bytes: int = 1 << 20) -> AbstractAsyncContextManager[ObjectStream]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[ObjectStream]:
            async def nothing() -> None:
                return None

            await self._pass(Sent("get", key), nothing)
            async with self.inner.open(key, chunk_bytes=chunk_bytes) as stream:
                yield stream

        return opened()


def a_gateway(store: ObjectStore, *, seed: int = 1, rules: FileRules | None = None, **changes: object) -> R2Files:
    """One gateway's r2 mode. `changes` are settings; saves need no pause unless they say so."""
    settings = R2ModeSettings(**{"save_interval_s": 0.0, **changes})  # type: ignore[arg-type]
    rng = random.Random(seed)
    return R2Files(store, ENV, clock=VirtualClock(), rng=rng, settings=settings, offload=inline, rules=rules)


def add(word: str) -> Callable[[bytes], tuple[Words, bytes | None]]:
    """Append a word; the answer is everything there is then."""

    def run(body: bytes) -> tuple[Words, bytes | None]:
        connection = _opened(body)
        try:
            connection.execute("INSERT INTO words(word) VALUES(?)", (word,))
            return _words(connection), connection.serialize("main")
        finally:
            connection.close(True)

    return run


def words(body: bytes) -> tuple[Words, bytes | None]:
    """Everything there is."""
    connection = _opened(body)
    try:
        return _words(connection), None
    finally:
        connection.close(True)


def a_body(*present: str) -> bytes:
    """A file that holds `present`, as a version without states would have written it."""
    connection = _opened(b"")
    try:
        connection.executemany("INSERT INTO words(word) VALUES(?)", [(word,) for word in present])
        return connection.serialize("main")
    finally:
        connection.close(True)


@dataclass(slots=True)
class Bucket:
    """The store, and what lies in it now."""

    store: HeldFiles

    @classmethod
    async def holding(cls, *present: str) -> Bucket:
        store = HeldFiles(VirtualClock())
        await store.inner.put(KEY, a_body(*present))
        return cls(store)

    async def words(self) -> Words:
        return words((await self.store.inner.get(KEY)).body)[0]

    async def state(self) -> FileState:
        return read_state((await self.store.inner.get(KEY)).body)

    async def change(self, event: Event, *, rules: FileRules | None = None, body: bytes | None = None) -> FileState:
        """What a migration does to the file, past all holds."""
        found = await self.store.inner.get(KEY)
        clock, rng = VirtualClock(), random.Random(found.info.etag)
        after = await change_file(
            self.store.inner, found, event, clock=clock, rng=rng, body=body, rules=rules or FileRules()
        )
        assert after is not None
        return after


def _opened(body: bytes) -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    if body:
        connection.deserialize("main", body)
    connection.execute("CREATE TABLE IF NOT EXISTS words(word TEXT)")
    return connection


def _words(connection: apsw.Connection) -> Words:
    return [str(row[0]) for row in connection.execute("SELECT word FROM words ORDER BY rowid")]
