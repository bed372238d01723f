"""Faults at the Nth call from SQLite into the file, for every N until a run passes untouched.

Whatever fails, and whether it fails once or from then on: a batch that raised left no trace, one that answered is in
the image rebuilt from its commits, and that image is sound. After DatabaseBroken the activation rebuilds; so does the
test.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import apsw
import pytest

from actors.database.database import Database
from actors.database.image import PageImage
from actors.database.statement import Batch
from actors.database.vfs import ImageFile
from actors.errors import DatabaseBroken
from tests.actors.database.factory import SETTINGS, a_batch, a_database, integrity_problems, plain

CALLS = ("xRead", "xWrite", "xTruncate", "xSync", "xFileSize")
TIGHT = dataclasses.replace(SETTINGS, cache_kib=1, page_size=1024)


class FaultyFile(ImageFile):
    """Fails at call number `at`, counted over all calls, once or for ever."""

    __slots__ = ("at", "calls", "failed", "kinds", "persistent")

    def __init__(self, image: PageImage, at: int, *, persistent: bool, kinds: tuple[str, ...]) -> None:
        super().__init__(image)
        self.at, self.persistent, self.kinds = at, persistent, kinds
        self.calls = self.failed = 0

    def _count(self, kind: str) -> None:
        if kind not in self.kinds:
            return
        self.calls += 1
        if self.calls == self.at or (self.persistent and self.calls > self.at):
            self.failed += 1
            raise apsw.IOError(f"{kind} fails")

    def xRead(self, amount: int, offset: int) -> bytes:
        self._count("xRead")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._count("xWrite")
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self._count("xTruncate")
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        self._count("xSync")
        super().xSync(flags)

    def xFileSize(self) -> int:
        self._count("xFileSize")
        return super().xFileSize()


SYSTEM = a_batch("CREATE TABLE _cf_s(a)", "INSERT INTO _cf_s SELECT sum(length(b)) FROM t")


def run_batch(database: Database, batch: Batch) -> None:
    if batch is SYSTEM:
        database.system(lambda sql: [sql.execute(each.sql) for each in batch.statements])
    else:
        database.execute(batch)


def workload() -> Iterator[Batch]:
    """Batches that grow, shrink, spill over the cache, change the schema and use an index; one is the system's."""
    for number in range(4):
        yield a_batch(("INSERT INTO t VALUES(?, zeroblob(?), 'one')", [number, 700 * number]))
        yield a_batch(
            ("INSERT INTO t VALUES(?, zeroblob(3000), 'two')", [100 + number]),
            ("UPDATE t SET b = b || ? WHERE id < 100", [f" {number}"]),
        )
        yield a_batch(f"CREATE TABLE u{number}(a UNIQUE)")
        yield a_batch(
            f"INSERT INTO u{number} SELECT id FROM t", "SELECT * FROM t ORDER BY b", "DELETE FROM t WHERE id = 101"
        )
    yield a_batch("DELETE FROM t WHERE id >= 100 RETURNING id")
    yield SYSTEM
    yield a_batch("DROP TABLE u1")
    yield a_batch("SELECT count(*), sum(length(a)) FROM t")


START = a_database(
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)", "CREATE INDEX t_b ON t(b, a)", page_size=1024
).copy_image()


def run_with_fault(at: int, *, persistent: bool, kinds: tuple[str, ...]) -> int:
    """How many calls failed. Every batch is repeated on a rebuilt database until it answers."""
    rebuilt = START.copy()
    expected = plain(START)
    failed = 0
    database: Database | None = None
    for batch in workload():
        for _ in range(3):
            try:
                if database is None:
                    file = FaultyFile(rebuilt.copy(), at if failed == 0 else 0, persistent=persistent, kinds=kinds)
                    if failed:
                        file.kinds = ()
                    database = Database(file, TIGHT, read_only=False, now=lambda: 0.0)
                run_batch(database, batch)
                commit = database.take_commit()
                if commit is not None:
                    rebuilt.apply(commit)
                break
            except DatabaseBroken:
                failed += file.failed
                database = None
                assert integrity_problems(rebuilt) == []
                assert content(plain(rebuilt)) == content(expected), f"a batch that raised left a trace, call {at}"
        else:
            raise AssertionError(f"call {at}: the batch never ran")
        for statement in batch.statements:
            expected.execute(statement.sql, statement.params).fetchall()
        assert content(plain(rebuilt)) == content(expected)
    return failed


def content(connection: apsw.Connection) -> list[object]:
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    return [(name, connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall()) for name in names]


@pytest.mark.parametrize("persistent", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("kind", CALLS)
def test_a_fault_at_any_call_loses_nothing_and_leaves_nothing(kind: str, persistent: bool) -> None:
    at, failures = 1, 0
    while failed := run_with_fault(at, persistent=persistent, kinds=(kind,)):
        failures += failed
        # Reads are many and alike: past the first hundred every seventh is enough.
        at += 1 if at < 100 else 7
    assert failures or kind in HARMLESS, f"{kind} never failed, the test shows nothing"


# SQLite takes these failures for nothing: a lock that only it holds, a hint.
HARMLESS = frozenset({"xLock", "xFileControl", "xFileSize", "xTruncate"})


def test_a_veto_of_every_commit_in_turn_leaves_the_image_at_the_last_one() -> None:
    def veto() -> None:
        raise apsw.IOError("not this one")

    vetoed = 0
    for at in range(len(list(workload()))):
        image = START.copy()
        database = Database.open(image, TIGHT)
        for number, batch in enumerate(workload()):
            if number < at:
                run_batch(database, batch)
                continue
            before = image.pages.copy()
            database.file.veto = veto
            try:
                run_batch(database, batch)
            except DatabaseBroken:
                vetoed += 1
                assert image.pages == before
                assert integrity_problems(image) == []
            break
    assert vetoed == len(list(workload())) - 1, "every batch but the last, which only reads, commits"
