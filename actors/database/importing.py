"""An uploaded SQLite file, checked and made ready to take the place of a database.

Refused with the reason: what is no SQLite database (an encrypted one looks like that), what is cut short, too large,
damaged, of another text encoding, uses names or virtual tables that are not the user's, or does not open under our
limits. Made to fit: a WAL header, another page size. Foreign key violations are counted, not refused: SQLite allows
them. The system's tables come from the database that is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import apsw

from actors.database.connection import GuardedConnection
from actors.database.deadline import STEPS, Deadline
from actors.database.guard import is_reserved
from actors.database.guard_list import MODULES
from actors.database.image import PageImage, page_size_of
from actors.database.reserved import SYSTEM_ENTRIES_SQL, reserved_name_in
from actors.database.schema import ORIGIN_IMPORT, create_system_tables
from actors.database.scratch import quoted, scratch_connection
from actors.database.system import SystemSql
from actors.database.vfs import BufferFile, ImageFile, connect
from actors.errors import DatabaseError, InvalidDatabase
from actors.settings import DatabaseSettings
from storage.clock import SystemClock

CHECK_S_MAX = 120.0
_PROBLEMS_SHOWN = 3
_MODULE = re.compile(r"\bUSING\s+[\"'`\[]?(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Imported:
    """An image ready for `Database.replace`, and what is worth telling the one who sent it."""

    image: PageImage
    tables: int
    foreign_key_violations: int
    page_size_before: int


def import_database(
    data: bytes,
    settings: DatabaseSettings,
    *,
    current: PageImage | None = None,
    drop_system_tables: bool = False,
    now: Callable[[], float] | None = None,
) -> Imported:
    """Check a file and build its image with `settings.page_size` or the current image's. Blocking: for a worker thread.

    `current`: the database it will replace, whose system tables it takes over. `drop_system_tables` leaves those in the
    file out instead of refusing it (for files written by the r2 mode). Raises InvalidDatabase.
    """
    deadline = Deadline(CHECK_S_MAX, now or SystemClock().now)
    page_size = current.page_size if current is not None else settings.page_size
    try:
        image = _with_page_size(_read_file(data, settings), page_size)
        with scratch_connection(image) as connection:
            connection.set_progress_handler(deadline, STEPS)
            if drop_system_tables:
                _drop_system_tables(connection)
            tables = _check_content(connection)
            violations = len(connection.execute("PRAGMA foreign_key_check").fetchall())
            _add_system_tables(connection, current)
        _check_opens(image, settings, deadline)
    except apsw.InterruptError as error:
        raise InvalidDatabase(f"checking the file took longer than {CHECK_S_MAX:g} s") from error
    except apsw.Error as error:
        raise InvalidDatabase(f"the file is no healthy SQLite database: {error}") from error
    except UnicodeDecodeError as error:
        raise InvalidDatabase("the file's schema holds a name that is no valid UTF-8") from error
    if image.byte_size > settings.database_bytes_max:
        raise InvalidDatabase(_too_large(image.byte_size, settings))
    return Imported(image, tables, violations, page_size_of(data))


def _read_file(data: bytes, settings: DatabaseSettings) -> PageImage:
    """The file as an image of its own page size, with a rollback journal's header."""
    if len(data) > settings.database_bytes_max:
        raise InvalidDatabase(_too_large(len(data), settings))
    try:
        page_size = page_size_of(data)
    except ValueError as error:
        raise InvalidDatabase(f"{error} (encrypted databases cannot be imported)") from error
    if data[18] not in (1, 2) or data[19] not in (1, 2):
        raise InvalidDatabase(f"file format {data[18]}/{data[19]} in the header, expected 1 or 2")
    stated = int.from_bytes(data[28:32], "big") if data[24:28] == data[92:96] else 0
    count = stated or len(data) // page_size
    if len(data) < count * page_size or not count:
        raise InvalidDatabase(f"the file is cut short: {len(data)} bytes, its header says {count} pages of {page_size}")
    first = bytes(data[:18]) + b"\x01\x01" + bytes(data[20:page_size])
    pages = [bytes(data[at : at + page_size]) for at in range(page_size, count * page_size, page_size)]
    return PageImage(page_size, [first, *pages])


def _with_page_size(image: PageImage, page_size: int) -> PageImage:
    """The same content in pages of `page_size`; the database is rebuilt if it has others."""
    if image.page_size == page_size:
        return image
    file = BufferFile(image.to_bytes())
    connection = connect(file, read_only=False, statements_cached=0)
    try:
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        for sql in (
            "PRAGMA locking_mode = EXCLUSIVE",
            "PRAGMA journal_mode = MEMORY",
            "PRAGMA temp_store = MEMORY",
            f"PRAGMA page_size = {page_size}",
            "VACUUM",
        ):
            connection.execute(sql).fetchall()
    finally:
        connection.close(True)
    rebuilt = PageImage.from_bytes(bytes(file.buffer))
    if rebuilt.page_size != page_size:
        raise InvalidDatabase(f"page size {image.page_size} could not be changed to {page_size}")
    return rebuilt


def _drop_system_tables(connection: apsw.Connection) -> None:
    names = [str(row[0]) for row in connection.execute(SYSTEM_ENTRIES_SQL) if row[2] is not None]
    with connection:
        for name in names:
            connection.execute(f"DROP TABLE IF EXISTS main.{quoted(name)}")


def _check_content(connection: apsw.Connection) -> int:
    """Number of tables. Raises InvalidDatabase."""
    encoding = str(connection.pragma("encoding"))
    if encoding != "UTF-8":
        raise InvalidDatabase(f"text encoding {encoding}, expected UTF-8")
    problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(10)")]
    if problems != ["ok"]:
        raise InvalidDatabase(f"quick_check found: {'; '.join(problems[:_PROBLEMS_SHOWN])}")
    tables = 0
    for kind, name, table, sql in connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall():
        tables += kind == "table"
        reserved = next((each for each in (name, table) if is_reserved(str(each))), None)
        reserved = reserved or (reserved_name_in(str(sql)) if sql is not None else None)
        if reserved is not None:
            raise InvalidDatabase(f"{kind} {name} uses the reserved name {reserved}")
        _check_module(str(name), str(sql or ""))
    return tables


def _check_module(name: str, sql: str) -> None:
    if not sql[:20].upper().startswith("CREATE VIRTUAL TABLE"):
        return
    match = _MODULE.search(sql)
    module = match.group(1).lower() if match else "?"
    if module not in MODULES:
        raise InvalidDatabase(f"table {name} is of module {module}; there are {', '.join(sorted(MODULES))}")


def _add_system_tables(connection: apsw.Connection, current: PageImage | None) -> None:
    with connection:
        sql = SystemSql(connection)
        if current is not None:
            with scratch_connection(current.copy()) as source:
                for name, _, definition in source.execute(SYSTEM_ENTRIES_SQL).fetchall():
                    if definition is not None:
                        connection.execute(str(definition))
                        _copy_rows(source, connection, str(name))
        create_system_tables(sql, ORIGIN_IMPORT)


def _copy_rows(source: apsw.Connection, target: apsw.Connection, name: str) -> None:
    width = len(source.execute("SELECT 1 FROM pragma_table_info(?)", (name,)).fetchall())
    rows = source.execute(f"SELECT * FROM main.{quoted(name)}")
    target.executemany(f"INSERT INTO main.{quoted(name)} VALUES({', '.join('?' * width)})", rows)


def _check_opens(image: PageImage, settings: DatabaseSettings, deadline: Deadline) -> None:
    """Every table must be readable under the guard and its limits."""
    try:
        guarded = GuardedConnection(ImageFile(image.copy()), settings, deadline, read_only=True)
    except DatabaseError as error:
        raise InvalidDatabase(f"the file does not open under this service's limits: {error.message}") from error
    try:
        names = guarded.apsw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (name,) in names:
            if not is_reserved(str(name)):
                guarded.apsw.execute(f"SELECT * FROM main.{quoted(str(name))} LIMIT 0")
    except apsw.Error as error:
        raise InvalidDatabase(f"the file does not fit this service's limits: {error}") from error
    finally:
        guarded.close()


def _too_large(size: int, settings: DatabaseSettings) -> str:
    return f"the database has {size} bytes, at most {settings.database_bytes_max} are allowed"
