"""The state of a profile's `database.sqlite`, kept in the file's own body (rule 13).

A system table `_cf_file` with one row holds state, generation, nonce and the ring of the last put-ids. It lies in the
body so that every change of state changes the ETag; the nonce, new at each save, keeps equal contents apart. Metadata
repeats state, generation and nonce for HEAD requests; the ring is only in the body. A file without the table is `open`,
generation 0, as written before there were states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import apsw
import msgspec

from storage.errors import CorruptObject, UnsupportedVersion
from storage.r2_sqlite.state import RING_LENGTH_MAX as RING_LENGTH_MAX
from storage.r2_sqlite.state import FileState as FileState
from storage.r2_sqlite.state import Mode as Mode

FORMAT_VERSION = 1
METADATA_PREFIX = "holdfast-file-"
_TOMBSTONE_PAGE_SIZE = 512
_JOURNAL_VERSIONS_AT = 18
_ROLLBACK_JOURNAL = b"\x01\x01"
_TABLE_SQL = (
    "CREATE TABLE IF NOT EXISTS _cf_file("
    "id INTEGER PRIMARY KEY CHECK(id = 1), format INTEGER, state TEXT, gen INTEGER, nonce TEXT, ring TEXT)"
)


def tombstone_body(state: FileState) -> bytes:
    """A small valid SQLite file with nothing in it but the state."""
    connection = apsw.Connection(":memory:", statementcachesize=0)
    try:
        connection.execute(f"PRAGMA page_size = {_TOMBSTONE_PAGE_SIZE}")
        _write(connection, state)
        return connection.serialize("main")
    finally:
        connection.close(True)


def read_state(body: bytes) -> FileState:
    """The state in a file's body. Raises CorruptObject if it is no SQLite file, UnsupportedVersion if it is newer."""
    if not body:
        return FileState()
    with _opened(body) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_cf_file'").fetchall():
            return FileState()
        rows = connection.execute("SELECT format, state, gen, nonce, ring FROM _cf_file").fetchall()
    return _state_of(rows)


def with_state(body: bytes, state: FileState) -> bytes:
    """The same database with another state. Raises CorruptObject."""
    if not body:
        return tombstone_body(state)
    with _opened(body) as connection:
        _write(connection, state)
        return connection.serialize("main")


def state_metadata(state: FileState) -> dict[str, str]:
    """Object metadata that repeats the state; without the ring, which would not fit everywhere."""
    fields = {"format": str(FORMAT_VERSION), "state": state.state.value, "gen": str(state.gen), "nonce": state.nonce}
    return {METADATA_PREFIX + key: value for key, value in fields.items()}


def state_from_metadata(metadata: Mapping[str, str]) -> FileState | None:
    """The state (with an empty ring) that metadata repeats; None if it says nothing this version can read."""
    try:
        if int(metadata[METADATA_PREFIX + "format"]) != FORMAT_VERSION:
            return None
        return FileState(
            state=Mode(metadata[METADATA_PREFIX + "state"]),
            gen=int(metadata[METADATA_PREFIX + "gen"]),
            nonce=metadata[METADATA_PREFIX + "nonce"],
        )
    except (KeyError, ValueError):
        return None


def _state_of(rows: list[tuple[apsw.SQLiteValue, ...]]) -> FileState:
    if len(rows) != 1:
        raise CorruptObject(f"file state: {len(rows)} rows, expected 1")
    version, state, gen, nonce, ring = rows[0]
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise UnsupportedVersion(f"file state of format {version}, this version reads {FORMAT_VERSION}")
    try:
        put_ids = msgspec.json.decode(str(ring), type=tuple[str, ...])
        return FileState(Mode(str(state)), int(str(gen)), str(nonce), put_ids)
    except ValueError as error:
        raise CorruptObject(f"file state: {error}") from error


def _write(connection: apsw.Connection, state: FileState) -> None:
    ring = msgspec.json.encode(state.ring[-RING_LENGTH_MAX:]).decode()
    with connection:
        connection.execute(_TABLE_SQL)
        connection.execute(
            "REPLACE INTO _cf_file(id, format, state, gen, nonce, ring) VALUES(1, ?, ?, ?, ?, ?)",
            (FORMAT_VERSION, state.state.value, state.gen, state.nonce, ring),
        )


@contextmanager
def _opened(body: bytes) -> Iterator[apsw.Connection]:
    """The file in memory. A WAL file is opened as a plain one: memory has no place for a WAL."""
    versions = slice(_JOURNAL_VERSIONS_AT, _JOURNAL_VERSIONS_AT + 2)
    if body[versions] == b"\x02\x02":
        body = body[: versions.start] + _ROLLBACK_JOURNAL + body[versions.stop :]
    connection = apsw.Connection(":memory:", statementcachesize=0)
    try:
        connection.deserialize("main", body)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        yield connection
    except apsw.Error as error:
        raise CorruptObject(f"database file: {error}") from error
    except UnicodeDecodeError as error:
        raise CorruptObject("database file: its state is no valid UTF-8") from error
    finally:
        connection.close(True)
