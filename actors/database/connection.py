"""How SQLite is opened over an image: pragmas, hardening, limits, guard and deadline.

`journal_mode=MEMORY` and `locking_mode=EXCLUSIVE` make xSync the one commit hook and keep page 1 out of most commits;
`cache_spill=OFF` keeps uncommitted pages out of the image; `secure_delete=FAST` clears deleted content in pages that
are written anyway, so that an export carries nothing of the system's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import apsw
import msgspec

from actors.database.deadline import STEPS, Deadline
from actors.database.guard import Guard, harden, limit
from actors.database.plan import may_fail_partly
from actors.database.reserved import Entry, check_schema, system_entries
from actors.database.system import SYSTEM_PREPARE, SystemSql
from actors.database.vfs import ImageFile, connect
from actors.errors import DatabaseBroken
from actors.settings import DatabaseSettings

T = TypeVar("T")

STATEMENTS_CACHED = 32
_FAIL_SQL = "SELECT sql FROM sqlite_schema WHERE instr(lower(sql), 'fail')"
_FILLERS = tuple([f"SELECT {number}" for number in range(STATEMENTS_CACHED)])
# What a connection takes besides what SQLite reports of itself (measured over many open databases).
CONNECTION_BYTES = 72 << 10
_STATUS_KINDS = (apsw.SQLITE_DBSTATUS_CACHE_USED, apsw.SQLITE_DBSTATUS_SCHEMA_USED, apsw.SQLITE_DBSTATUS_STMT_USED)


class Schema(msgspec.Struct, frozen=True):
    """SQLite's counter of schema changes, and the system's entries: what user SQL must leave alone.

    `partial`: some definition says FAIL, so a failing statement may keep what it did so far.
    """

    version: int
    system_entries: tuple[Entry, ...]
    partial: bool


class GuardedConnection:
    """A connection under guard, and the unguarded ways around it that only the system uses."""

    __slots__ = ("apsw", "deadline", "guard", "read_only", "schema")

    def __init__(self, file: ImageFile, settings: DatabaseSettings, deadline: Deadline, *, read_only: bool) -> None:
        self.guard = Guard()
        self.deadline = deadline
        self.read_only = read_only
        try:
            self.apsw = connect(file, read_only=read_only, statements_cached=STATEMENTS_CACHED)
            _configure(self.apsw, file.page_size, settings)
            self.apsw.authorizer = self.guard
            self.apsw.set_progress_handler(deadline, STEPS)
            self.schema = Schema(-1, (), False)
            self.schema = self.read_schema()
        except apsw.Error as error:
            raise DatabaseBroken(f"the image does not open: {error}") from error

    def begin(self) -> None:
        """Open a transaction that will write, or a reading one on a read-only database."""
        self._command("BEGIN" if self.read_only else "BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._command("COMMIT")

    def roll_back(self) -> None:
        """Roll back if a transaction is open. Raises apsw.Error."""
        if self.apsw.in_transaction:
            self._command("ROLLBACK")

    def unguarded(self, work: Callable[[SystemSql], T]) -> T:
        """Run the system's SQL."""
        self.deadline.begin_unbounded()
        self.guard.lifted = True
        try:
            return work(SystemSql(self.apsw))
        finally:
            self.guard.lifted = False

    def check_schema(self) -> Schema | None:
        """The schema, if user SQL changed it in the open transaction. Raises NotAuthorized for names of the system."""
        version = self._read_schema_version()
        if version == self.schema.version:
            return None
        check_schema(self._query, self.schema.system_entries)
        return Schema(version, self.schema.system_entries, self._may_fail_partly())

    def read_schema(self) -> Schema:
        """The schema as the open transaction sees it. To be read before the commit: after it nothing may fail."""
        version = self._read_schema_version()
        if version == self.schema.version:
            return self.schema
        return Schema(version, system_entries(self._query), self._may_fail_partly())

    def _may_fail_partly(self) -> bool:
        return any(may_fail_partly(str(row[0])) for row in self._query(_FAIL_SQL))

    def forget_statements(self) -> None:
        """Push every statement out of APSW's cache: one prepared before a schema change has stale column names."""
        for text in _FILLERS:
            self._query(text)

    def bytes_used(self) -> int:
        """Bytes of memory besides the image."""
        return CONNECTION_BYTES + sum(self.apsw.status(kind, False)[0] for kind in _STATUS_KINDS)

    def close(self) -> None:
        self.apsw.close(True)

    def _command(self, sql: str) -> None:
        self.guard.lifted = True
        try:
            self.apsw.execute(sql, prepare_flags=SYSTEM_PREPARE)
        finally:
            self.guard.lifted = False

    def _query(self, sql: str) -> list[tuple[apsw.SQLiteValue, ...]]:
        self.guard.lifted = True
        try:
            return self.apsw.execute(sql, prepare_flags=SYSTEM_PREPARE).fetchall()
        finally:
            self.guard.lifted = False

    def _read_schema_version(self) -> int:
        version = self._query("PRAGMA schema_version")[0][0]
        assert isinstance(version, int)
        return version


def _configure(connection: apsw.Connection, page_size: int, settings: DatabaseSettings) -> None:
    for pragma in (
        f"page_size = {page_size}",
        "locking_mode = EXCLUSIVE",
        "journal_mode = MEMORY",
        "synchronous = FULL",
        "temp_store = MEMORY",
        "cache_spill = OFF",
        "foreign_keys = ON",
        "secure_delete = FAST",
        f"max_page_count = {max(1, settings.database_bytes_max // page_size)}",
    ):
        connection.execute(f"PRAGMA {pragma}", can_cache=False).fetchall()
    harden(connection)
    limit(connection, settings)
    _shed_page_cache(connection, settings.cache_kib)


def _shed_page_cache(connection: apsw.Connection, cache_kib: int) -> None:
    """Give back the block of 20 pages that SQLite set aside at the first read, and keep it from taking another.

    It takes one whenever an empty cache of more than two pages reads a page. So: a cache of two, emptied, reads one
    page and grows then; from there on every page is allocated as it is needed. That saves 80 KB per idle database.
    """
    connection.execute("PRAGMA cache_size = 2", can_cache=False)
    connection.release_memory()
    connection.execute("PRAGMA schema_version", can_cache=False).fetchall()
    connection.execute(f"PRAGMA cache_size = -{cache_kib}", can_cache=False)
