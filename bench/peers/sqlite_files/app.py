"""FastAPI over one SQLite file per user: WAL, synchronous=FULL, connections kept open.

Statements run on the event loop: for statements of microseconds a thread costs more than it gains. One commit is one
fsync of the WAL.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.peers.python_app import Run, Step
from bench.peers.schema import per_user_schema

CONNECTIONS_MAX = 4096
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")


class UserFiles:
    """Open connections, least recently used first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._schema = per_user_schema()
        self._open: OrderedDict[str, sqlite3.Connection] = OrderedDict()

    async def run(self, user: str, steps: list[Step]) -> list[dict[str, Any]]:
        """A single statement commits by itself; several are one transaction."""
        database = self._connection(user)
        if len(steps) == 1:
            return [execute(database, steps[0])]
        database.execute("BEGIN IMMEDIATE")
        try:
            results = [execute(database, step) for step in steps]
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")
        return results

    def close(self) -> None:
        for database in self._open.values():
            database.close()

    def _connection(self, user: str) -> sqlite3.Connection:
        database = self._open.get(user)
        if database is not None:
            self._open.move_to_end(user)
            return database
        database = sqlite3.connect(self._folder / f"{user}.sqlite", isolation_level=None)
        for pragma in PRAGMAS:
            database.execute(f"PRAGMA {pragma}")
        database.executescript(self._schema)
        self._open[user] = database
        if len(self._open) > CONNECTIONS_MAX:
            self._open.popitem(last=False)[1].close()
        return database


def execute(database: sqlite3.Connection, step: Step) -> dict[str, Any]:
    """One statement's result."""
    sql, params = step
    cursor = database.execute(sql, params)
    columns = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchall()
    changes = max(cursor.rowcount, 0)
    return {"columns": columns, "rows": rows, "changes": changes, "last_insert_rowid": cursor.lastrowid}


def opened(folder: Path) -> Any:
    """For `build_app`."""

    @asynccontextmanager
    async def manager() -> AsyncIterator[Run]:
        files = UserFiles(folder)
        try:
            yield files.run
        finally:
            files.close()

    return manager
