"""An answer of any length as lines of JSON, read from a copy of the image while the live one goes on.

    {"columns": […]}, one array (or object) per row, {"rows": n} or, if it broke off, {"error": {"code", "message"}}

A chunk is produced in a worker thread only when the consumer asks for it: that is the back-pressure, and no more than
one chunk is held. The copy is read-only, so writes are refused. The statement's deadline counts per chunk.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from itertools import islice

import apsw
import msgspec

from actors.database.answer import Shape, shape_rows
from actors.database.connection import GuardedConnection
from actors.database.deadline import Deadline
from actors.database.failure import Failures, Place, explain_parameters
from actors.database.image import PageImage
from actors.database.plan import Plan, Planner
from actors.database.row import can_wrap, unwrapped, wrapped
from actors.database.statement import Batch, Row, Statement
from actors.database.vfs import ImageFile
from actors.errors import SqlError
from actors.settings import DatabaseSettings
from storage.clock import SystemClock
from storage.errors import HoldfastError, InvalidRequest

CHUNK_BYTES = 64 << 10
_ROWS_AT_ONCE = 16
_ENCODER = msgspec.json.Encoder()


async def open_stream(
    image: PageImage,
    settings: DatabaseSettings,
    batch: Batch,
    *,
    executor: Executor | None = None,
    shape: Shape = "arrays",
    now: Callable[[], float] | None = None,
) -> AsyncIterator[bytes]:
    """Start one reading statement over `image` (a copy nobody else writes); its chunks of whole lines.

    Errors found before the first row are raised here (InvalidRequest, DatabaseError); later ones are the last line.
    Closing the iterator (`aclose`) stops the statement.
    """
    if len(batch.statements) != 1:
        raise InvalidRequest("a stream answers one statement; send `sql`, not `statements`")
    loop = asyncio.get_running_loop()
    reader = _Reader(image, settings, batch.statements[0], shape, now or SystemClock().now)
    try:
        await loop.run_in_executor(executor, reader.start)
    except BaseException:
        reader.close()
        raise
    return _chunks(reader, executor)


async def _chunks(reader: _Reader, executor: Executor | None) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    try:
        while chunk := await loop.run_in_executor(executor, reader.next_chunk):
            yield chunk
    finally:
        # Ends a step that still runs in its thread (the consumer was cancelled), then frees the connection.
        reader.close()


class _Reader:
    """The statement of one stream. Every method may run in another thread than the last; a lock orders them."""

    def __init__(
        self, image: PageImage, settings: DatabaseSettings, statement: Statement, shape: Shape, now: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._statement = statement
        self._shape = shape
        self._lock = threading.Lock()
        self._deadline = Deadline(settings.statement_deadline_s, now)
        self._connection = GuardedConnection(ImageFile(image), settings, self._deadline, read_only=True)
        self._failures = Failures(self._connection.guard, self._deadline, settings)
        self._cursor = self._connection.apsw.cursor()
        self._columns: tuple[str, ...] = ()
        self._names: tuple[str | None, ...] = ()
        self._head: bytes | None = None
        self._wrapped = False
        self._sent = 0
        self._done = False

    def start(self) -> None:
        """Prepare the statement and run it to its first row."""
        with self._lock:
            try:
                plan = self._plan()
                self._columns, self._names = plan.columns, plan.names
                wrong = explain_parameters(self._statement.params, plan.names, 0)
                if wrong is not None:
                    raise wrong
                self._deadline.begin_alone(None)
                self._cursor.execute(self._statement.sql, self._statement.params)
            except Exception as error:
                self._raise(error)
            self._head = _ENCODER.encode({"columns": self._columns}) + b"\n"

    def next_chunk(self) -> bytes:
        """The next lines, about CHUNK_BYTES of them; empty after the last."""
        with self._lock:
            if self._done:
                return b""
            lines = bytearray(self._head or b"")
            self._head = None
            self._deadline.begin_alone(None)
            try:
                while not self._done and len(lines) < CHUNK_BYTES:
                    self._add_rows(lines)
            except Exception as error:
                lines += self._last_words(error)
            return bytes(lines)

    def close(self) -> None:
        """End the statement, wherever it is, and free the connection."""
        self._deadline.stop()
        with self._lock:
            self._done = True
            self._cursor.close(True)
            self._connection.close()

    def _plan(self) -> Plan:
        plan = Planner(self._connection.apsw).plan(self._statement.sql)
        if plan.empty:
            raise SqlError("the SQL text holds no statement", details={"statement": 0})
        if not plan.whole:
            raise InvalidRequest("a stream answers one statement, the SQL text holds several")
        if not plan.readonly:
            raise InvalidRequest("a stream only reads; send writes without `stream`")
        return plan

    def _add_rows(self, lines: bytearray) -> None:
        rows: list[Row] = []
        try:
            for row in islice(self._cursor, _ROWS_AT_ONCE):
                rows.append(row)
                if sum(len(value) for value in row if isinstance(value, str | bytes)) > CHUNK_BYTES:
                    break
            else:
                self._done = len(rows) < _ROWS_AT_ONCE
        except UnicodeDecodeError:
            if self._wrapped or not can_wrap(self._statement.sql):
                raise
            self._write(rows, lines)
            self._start_again_wrapped()
            return
        self._write(rows, lines)
        if self._done:
            lines += _ENCODER.encode({"rows": self._sent}) + b"\n"

    def _write(self, rows: list[Row], lines: bytearray) -> None:
        if self._wrapped:
            rows = [tuple([unwrapped(value) for value in row]) for row in rows]
        for row in shape_rows(self._columns, rows, self._shape):
            lines += _ENCODER.encode(row) + b"\n"
        self._sent += len(rows)

    def _start_again_wrapped(self) -> None:
        """A text that is no UTF-8: run the statement again inside the wrapper, past the rows already sent."""
        self._wrapped = True
        limit = self._connection.apsw.limit(apsw.SQLITE_LIMIT_LENGTH)
        self._connection.apsw.limit(apsw.SQLITE_LIMIT_LENGTH, limit + 1)
        self._cursor.close(True)
        self._cursor = self._connection.apsw.cursor()
        self._cursor.execute(wrapped(self._statement.sql, len(self._columns)), self._statement.params)
        for _ in islice(self._cursor, self._sent):
            pass

    def _last_words(self, error: Exception) -> bytes:
        self._done = True
        translated = self._failures.translate(error, self._place(), ended=False)
        code = translated.code if isinstance(translated, HoldfastError) else "internal"
        return _ENCODER.encode({"error": {"code": code, "message": str(translated)}}) + b"\n"

    def _raise(self, error: Exception) -> None:
        translated = self._failures.translate(error, self._place(), ended=False)
        if translated is error:
            raise error
        raise translated from error

    def _place(self) -> Place:
        return Place(self._statement, self._statement.sql, self._names)
