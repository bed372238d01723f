"""A batch on plain SQLite: no guard, no limits, none of our files under it. The control of a shadow read.

The statements were let through by the guard and changed nothing before they come here, and the connection is in memory
and hardened all the same. Blocking: for a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

from actors.database.deadline import STEPS, Deadline
from actors.database.guard import harden
from actors.database.image import PageImage
from actors.database.statement import Batch, BatchResult, Row, Statement, StatementResult
from actors.errors import ResultTooLarge
from actors.settings import DatabaseSettings


def plain_read(image: PageImage, batch: Batch, settings: DatabaseSettings, now: Callable[[], float]) -> BatchResult:
    """The answers of `batch` over `image`, as one transaction that is not kept. `now`: a monotonic clock in seconds.

    `changes` and `last_insert_rowid` are left out. Raises apsw.Error, UnicodeDecodeError, ResultTooLarge.
    """
    connection = apsw.Connection(":memory:", statementcachesize=0)
    try:
        connection.deserialize("main", image.to_bytes())
        harden(connection)
        connection.execute("BEGIN")
        return BatchResult([_answer(connection, each, settings, now) for each in batch.statements], True)
    finally:
        connection.close(True)


def _answer(
    connection: apsw.Connection, statement: Statement, settings: DatabaseSettings, now: Callable[[], float]
) -> StatementResult:
    """Of several statements in one text the last is answered."""
    columns: tuple[str, ...] = ()
    rows: list[Row] = []

    def begin(cursor: apsw.Cursor, sql: str, bindings: Any) -> bool:
        nonlocal columns
        columns = tuple([column[0] for column in cursor.description])
        rows.clear()
        return True

    connection.set_progress_handler(Deadline(settings.statement_deadline_s, now), STEPS)
    cursor = connection.cursor()
    cursor.exec_trace = begin
    for row in cursor.execute(statement.sql, statement.params):
        rows.append(row)
        if len(rows) > settings.result_rows_max:
            raise ResultTooLarge(f"the answer has more than {settings.result_rows_max} rows")
    return StatementResult(columns, rows, 0, None)
