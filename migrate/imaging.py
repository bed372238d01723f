"""From a sealed file to the pages of an IMPORT, and from a closed log back to a file; and which files are too odd.

User data is taken as `actors.database.importing` takes an uploaded file: checked, and with the actor's page size. The
system's own tables come along unchanged in both directions, because what they remember (answers to idempotency keys,
the ledger of migrations, the ring of put-ids) must hold on the other side. Blocking: for a worker thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import apsw

from actors.database.export import clear_free_pages
from actors.database.image import MAGIC, PageImage
from actors.database.importing import import_database
from actors.database.reserved import SYSTEM_ENTRIES_SQL
from actors.database.scratch import quoted, scratch_connection
from actors.errors import InvalidDatabase
from actors.model.birth import template_image
from actors.settings import DatabaseSettings
from migrate.errors import Quarantined
from storage.errors import CorruptObject
from storage.r2_sqlite.file_state import FileState, read_state

FILE_TABLE = "_cf_file"
_VERSIONS = slice(18, 20)
_WAL = b"\x02\x02"
_PROBLEMS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Inspection:
    """A file that may be moved. Sizes in bytes."""

    state: FileState
    size: int
    tables: int


def inspect_file(body: bytes, settings: DatabaseSettings) -> Inspection:
    """What there is to move. Raises Quarantined, its `reason` (a word) among the details, for what may not be."""
    if not body:
        return Inspection(FileState(), 0, 0)
    if len(body) > settings.database_bytes_max:
        raise _odd("too_large", f"{len(body)} bytes, an actor holds at most {settings.database_bytes_max}")
    if body[: len(MAGIC)] != MAGIC:
        raise _odd("encrypted", "no SQLite header: encrypted, or no database")
    if body[_VERSIONS] == _WAL:
        raise _odd("wal", "a WAL header: writes may lie in a -wal file that is not here; checkpoint it first")
    try:
        state = read_state(body)
    except CorruptObject as error:
        raise _odd("corrupt", error.message) from error
    with _reading(body) as connection:
        problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(10)")]
        if problems != ["ok"]:
            raise _odd("corrupt", f"integrity_check: {'; '.join(problems[:_PROBLEMS_SHOWN])}")
        if state.gen == 0:
            _check_reserved(connection, settings)
    try:
        return Inspection(state, len(body), import_database(body, settings, drop_system_tables=True).tables)
    except InvalidDatabase as error:
        raise _odd("refused", error.message) from error


def image_for_import(body: bytes, settings: DatabaseSettings) -> PageImage:
    """The image of an IMPORT: the file's content, its system tables included. Raises Quarantined."""
    try:
        image = import_database(body, settings, drop_system_tables=True).image
    except InvalidDatabase as error:
        raise _odd("refused", error.message) from error
    with _reading(body) as source, scratch_connection(image) as target:
        _carry_system_tables(source, target)
    return image


def body_for_reopening(image: PageImage) -> bytes:
    """The file that a closed log gives back. The state in it is for the caller to write."""
    copy = image.copy()
    clear_free_pages(copy)
    return copy.to_bytes()


def _check_reserved(connection: apsw.Connection, settings: DatabaseSettings) -> None:
    """A file that was never ours may hold no names of ours but those that r2 mode itself makes."""
    with scratch_connection(template_image(settings)) as template:
        ours = {str(row[0]) for row in template.execute(SYSTEM_ENTRIES_SQL)} | {FILE_TABLE}
    for name, _, _ in connection.execute(SYSTEM_ENTRIES_SQL):
        if name not in ours:
            raise _odd("reserved_name", f"{name}: names that begin with _cf_ are the system's")


def _carry_system_tables(source: apsw.Connection, target: apsw.Connection) -> None:
    entries = [(str(name), str(sql)) for name, _, sql in source.execute(SYSTEM_ENTRIES_SQL) if sql is not None]
    there = {str(row[0]) for row in target.execute(SYSTEM_ENTRIES_SQL)}
    with target:
        for name, sql in entries:
            if name not in there:
                target.execute(sql)
            if sql[:12].upper() != "CREATE TABLE":
                continue
            width = len(source.execute("SELECT 1 FROM pragma_table_info(?)", (name,)).fetchall())
            target.execute(f"DELETE FROM main.{quoted(name)}")
            target.executemany(
                f"INSERT INTO main.{quoted(name)} VALUES({', '.join('?' * width)})",
                source.execute(f"SELECT * FROM main.{quoted(name)}"),
            )


@contextmanager
def _reading(body: bytes) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:", statementcachesize=0)
    try:
        connection.deserialize("main", body)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        yield connection
    except (apsw.Error, UnicodeDecodeError) as error:
        raise _odd("corrupt", f"no healthy SQLite database: {error}") from error
    finally:
        connection.close(True)


def _odd(reason: str, text: str) -> Quarantined:
    return Quarantined(f"database.sqlite: {text}", details={"reason": reason})
