"""A log written the way an owner writes it, with the pages of real databases, for tests of what reads it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing

from storage.clock import SystemClock
from storage.layout.address import Address
from storage.log.actor_log import ActorLog, draft_slot
from storage.log.record import Kind, LogState, Record
from storage.log.segment import Segment, encode_segment
from storage.log.snapshot import snapshot_segment
from storage.objects.port import ObjectStore

ADDRESS = Address("ana", "00ff00ff")
PAGE_SIZE = 4096


def pages_of(statements: Sequence[str]) -> list[bytes]:
    """The pages of the database that `statements` make."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        for statement in statements:
            connection.execute(statement)
        data = connection.serialize()
    return [data[start : start + PAGE_SIZE] for start in range(0, len(data), PAGE_SIZE)]


class LogWriter:
    """Appends slots to the log of ADDRESS. One commit per slot with pages."""

    def __init__(self, store: ObjectStore) -> None:
        self.log = ActorLog(store, "dev", ADDRESS, SystemClock(), random.Random(5))
        self.state = LogState()
        self._pages: list[bytes] = []

    async def write(self, kind: Kind, pages: list[bytes] | None = None, *, epoch: int = 1) -> int:
        """One slot; with `pages`, those that changed. The slot."""
        slot, before = self.state.last_slot + 1, self._pages
        changed: tuple[tuple[int, bytes], ...] = ()
        commits = None
        if pages is not None:
            changed = tuple((n, page) for n, page in enumerate(pages, 1) if n > len(before) or before[n - 1] != page)
            commits = (self.state.last_commit + 1, self.state.last_commit + 1)
            self._pages = pages
        record = Record(
            kind, epoch, f"claim{epoch}", f"put{slot}", "machine", 10.0, 1, commits, base=self.state.last_commit
        )
        segment = Segment(slot, slot, PAGE_SIZE, len(self._pages), changed, epoch, 1_700_000_000_000 + slot)
        await self.log.put(draft_slot(slot, record, segment))
        self.state = self.state.advance(record)
        return slot

    async def snapshot(self, pages: list[bytes] | None = None) -> None:
        """A snapshot of the last slot; of `pages` instead where it is to be wrong."""
        segment = snapshot_segment(
            self._pages if pages is None else pages,
            page_size=PAGE_SIZE,
            last_slot=self.state.last_slot,
            node_id=1,
            timestamp_ms=1_700_000_000_000,
        )
        await self.log.put_snapshot(segment, encode_segment(segment), self.state, put_id="snapshot")


STEPS = (
    "CREATE TABLE _cf_meta (key TEXT PRIMARY KEY)",
    "CREATE TABLE clips (id INTEGER PRIMARY KEY, note TEXT)",
    "INSERT INTO clips (note) VALUES ('first')",
    "INSERT INTO clips (note) VALUES ('second')",
    "INSERT INTO clips (note) VALUES ('third')",
)


async def a_season(store: ObjectStore) -> LogWriter:
    """IMPORT, TAKE, three writes with a snapshot after the second, RELEASE: commits 1 to 4 in slots 1, 3, 4, 5."""
    writer = LogWriter(store)
    await writer.write(Kind.IMPORT, pages_of(STEPS[:2]))
    await writer.write(Kind.TAKE)
    await writer.write(Kind.SEGMENT, pages_of(STEPS[:3]))
    await writer.write(Kind.SEGMENT, pages_of(STEPS[:4]))
    await writer.snapshot()
    await writer.write(Kind.SEGMENT, pages_of(STEPS[:5]))
    await writer.write(Kind.RELEASE)
    return writer
