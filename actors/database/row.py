"""Rows of a running statement: bounded while they are read, and readable even where a text is no valid UTF-8.

APSW decodes TEXT strictly, so one bad value would spoil a whole SELECT. The statement is then run again inside a
wrapper that hands every text over as bytes; those that are no UTF-8 come back as `RawText`. Only plain reads can be
wrapped; a change with RETURNING, or a pragma, that meets such a text is refused and leaves nothing behind.
"""

from __future__ import annotations

import re
from typing import Any

import apsw

from actors.database.statement import RawText, Row, SqlValue
from actors.errors import ResultTooLarge, SqlError
from actors.settings import DatabaseSettings

_READS = re.compile(r"(?:[\s;]|--[^\n]*\n|/\*.*?\*/)*(?:select|with|values)\b", re.DOTALL | re.IGNORECASE)
VALUE_BYTES = 8


class RowReader:
    """Reads the rows of one connection's statements, one statement at a time."""

    __slots__ = ("_bytes_max", "_connection", "_cursor", "_encoding", "_rows_max")

    def __init__(self, connection: apsw.Connection, settings: DatabaseSettings) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._rows_max = settings.result_rows_max
        self._bytes_max = settings.result_bytes_max

    def read(self, sql: str, params: Any, columns: tuple[str, ...]) -> list[Row]:
        """All rows. Raises ResultTooLarge past the bounds, apsw.Error, SqlError."""
        cursor = self._cursor
        try:
            cursor.execute(sql, params)
            return self._collect(cursor, len(columns)) if columns else []
        except UnicodeDecodeError as error:
            self.abandon()
            if not columns or not can_wrap(sql):
                raise SqlError("an answer holds text that is not UTF-8; select it as CAST(… AS BLOB)") from error
        return self._read_wrapped(sql, params, columns)

    def abandon(self) -> None:
        """Let go of a statement that was not read to its end."""
        self._cursor.close(True)
        self._cursor = self._connection.cursor()

    def close(self) -> None:
        self._cursor.close(True)

    def _collect(self, cursor: apsw.Cursor, width: int) -> list[Row]:
        rows: list[Row] = []
        append = rows.append
        size, bytes_max, rows_max = 0, self._bytes_max, self._rows_max
        overhead = VALUE_BYTES * width
        for row in cursor:
            append(row)
            size += overhead
            for value in row:
                kind = value.__class__
                if kind is str or kind is bytes:
                    size += len(value)
            if size > bytes_max or len(rows) > rows_max:
                raise self._too_large(size)
        return rows

    def _too_large(self, size: int) -> ResultTooLarge:
        if size > self._bytes_max:
            return ResultTooLarge(f"the answer is larger than {self._bytes_max} bytes")
        return ResultTooLarge(f"the answer has more than {self._rows_max} rows")

    def _read_wrapped(self, sql: str, params: Any, columns: tuple[str, ...]) -> list[Row]:
        limit = self._connection.limit(apsw.SQLITE_LIMIT_LENGTH)
        self._connection.limit(apsw.SQLITE_LIMIT_LENGTH, limit + 1)
        try:
            cursor = self._cursor.execute(wrapped(sql, len(columns)), params, can_cache=False)
            rows = self._collect(cursor, len(columns))
        finally:
            self._connection.limit(apsw.SQLITE_LIMIT_LENGTH, limit)
        return [tuple([unwrapped(value) for value in row]) for row in rows]


def can_wrap(sql: str) -> bool:
    """Whether an SQL text is a plain read."""
    return _READS.match(sql) is not None


def wrapped(sql: str, width: int) -> str:
    """`sql` with every text as a blob marked `t`, every blob as one marked `b`."""
    names = [f"c{n}" for n in range(width)]
    marked = ", ".join(
        f"CASE typeof({c}) WHEN 'text' THEN CAST('t' || {c} AS BLOB) "
        f"WHEN 'blob' THEN CAST('b' || {c} AS BLOB) ELSE {c} END"
        for c in names
    )
    body = sql.strip(" \t\r\n\f;")
    return f"WITH answer({', '.join(names)}) AS ({body}\n) SELECT {marked} FROM answer"


def unwrapped(value: SqlValue) -> SqlValue:
    """The value that `wrapped` marked."""
    if not isinstance(value, bytes):
        return value
    content = value[1:]
    if value[:1] == b"b":
        return content
    try:
        return content.decode()
    except UnicodeDecodeError:
        return RawText(content)
