"""Two databases compared by what is in them, row by row; the system's tables are left out (rule 17).

Compared: integrity_check, foreign_key_check, schema, user_version, application_id, and of every table the number of
rows and a hash of their content, types included (1 is not 1.0, text is not a blob). Virtual tables are compared by the
tables they keep their content in; the planner's statistics are no content. The first row that differs is shown,
shortened. Blocking: for a worker thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest

import apsw
import msgspec

from actors.database.scratch import quoted
from storage.errors import CorruptObject

_VALUE_CHARS_MAX = 60
_PROBLEMS_MAX = 5
_SCHEMA_SQL = (
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE lower(substr(tbl_name, 1, 4)) <> '_cf_' "
    "ORDER BY type, name"
)


@dataclass(frozen=True, slots=True)
class TableDigest:
    """`rows` counted, their content hashed in their own order."""

    rows: int
    hash: str


@dataclass(frozen=True, slots=True)
class Digest:
    """Everything of a database that a move has to keep."""

    integrity: tuple[str, ...]
    foreign_keys: int
    schema: str
    user_version: int
    application_id: int
    tables: Mapping[str, TableDigest]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` is None where the copy is as good as the original, else the first thing that is not."""

    original: Digest
    difference: str | None


def compare(original: bytes, copy: bytes) -> Comparison:
    """See the module. Raises CorruptObject for what is no database."""
    with _opened(original) as left, _opened(copy) as right:
        digests = digest_of(left), digest_of(right)
        return Comparison(digests[0], _difference(*digests, left, right))


def digest_file(body: bytes) -> Digest:
    """The digest of one file. Raises CorruptObject."""
    with _opened(body) as connection:
        return digest_of(connection)


def digest_of(connection: apsw.Connection) -> Digest:
    """The digest of an open database."""
    schema = connection.execute(_SCHEMA_SQL).fetchall()
    problems = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_PROBLEMS_MAX})")]
    return Digest(
        integrity=() if problems == ["ok"] else tuple(problems),
        foreign_keys=len(connection.execute("PRAGMA foreign_key_check").fetchall()),
        schema=hashlib.blake2b(msgspec.msgpack.encode(schema), digest_size=16).hexdigest(),
        user_version=int(str(connection.pragma("user_version"))),
        application_id=int(str(connection.pragma("application_id"))),
        tables={name: _digest_table(connection, name) for name in _tables(connection)},
    )


def _difference(left: Digest, right: Digest, a: apsw.Connection, b: apsw.Connection) -> str | None:
    if right.integrity:
        return f"integrity_check of the copy: {'; '.join(right.integrity)}"
    for what in ("user_version", "application_id", "foreign_keys"):
        if getattr(left, what) != getattr(right, what):
            return f"{what}: {getattr(left, what)} in the file, {getattr(right, what)} in the log"
    if left.schema != right.schema:
        return f"schema: {_first_schema_difference(a, b)}"
    for name in sorted({*left.tables, *right.tables}):
        if left.tables.get(name) != right.tables.get(name):
            return f"table {name}: {_first_row_difference(a, b, name)}"
    return None


def _first_schema_difference(a: apsw.Connection, b: apsw.Connection) -> str:
    left, right = ({(str(row[0]), str(row[1])): row[3] for row in each.execute(_SCHEMA_SQL)} for each in (a, b))
    for key in sorted({*left, *right}):
        if left.get(key, key) != right.get(key, key):
            return f"{key[0]} {key[1]} differs"
    return "differs"


def _first_row_difference(a: apsw.Connection, b: apsw.Connection, name: str) -> str:
    for number, (left, right) in enumerate(zip_longest(_rows(a, name), _rows(b, name)), start=1):
        if left is None or right is None or msgspec.msgpack.encode(left) != msgspec.msgpack.encode(right):
            return f"row {number}: {_shown(left)} in the file, {_shown(right)} in the log"
    return "rows differ"


def _tables(connection: apsw.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND lower(substr(name, 1, 4)) <> '_cf_' "
        "AND sql NOT LIKE 'CREATE VIRTUAL TABLE%' AND name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' ORDER BY name"
    )
    return [str(row[0]) for row in rows]


def _digest_table(connection: apsw.Connection, name: str) -> TableDigest:
    digest, count = hashlib.blake2b(digest_size=16), 0
    for row in _rows(connection, name):
        digest.update(msgspec.msgpack.encode(row))
        count += 1
    return TableDigest(count, digest.hexdigest())


def _rows(connection: apsw.Connection, name: str) -> Iterator[tuple[object, ...]]:
    """Rows in the table's own order; texts as bytes with a mark, so that no encoding can be wrong."""
    columns = [str(row[0]) for row in connection.execute("SELECT name FROM pragma_table_xinfo(?)", (name,))]
    parts = (
        f"CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END, typeof({column}) = 'text'"
        for column in map(quoted, columns)
    )
    yield from connection.execute(f"SELECT {', '.join(parts)} FROM main.{quoted(name)}")


def _shown(row: tuple[object, ...] | None) -> str:
    if row is None:
        return "no row"
    values = []
    for value, is_text in zip(row[::2], row[1::2], strict=True):
        text = value.decode("utf-8", "replace") if is_text and isinstance(value, bytes) else value
        shown = repr(text)
        values.append(shown if len(shown) <= _VALUE_CHARS_MAX else f"{shown[: _VALUE_CHARS_MAX - 1]}…")
    return f"({', '.join(values)})"


@contextmanager
def _opened(body: bytes) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:", statementcachesize=0)
    try:
        if body:
            connection.deserialize("main", body)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        yield connection
    except (apsw.Error, UnicodeDecodeError) as error:
        raise CorruptObject(f"comparing databases: {error}") from error
    finally:
        connection.close(True)
