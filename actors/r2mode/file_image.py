"""A `database.sqlite` of r2 mode as the image that a database runs on, and back.

Files of any age are taken: of another page size, with a WAL header, without system tables. A missing file begins as a
new actor's database does. What belongs to the system and is not there yet is added with the first write, in memory
before: a request that only reads leaves the file alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from actors.database.database import Database
from actors.database.image import PageImage, page_size_of
from actors.database.schema import ORIGIN_IMPORT, create_system_tables
from actors.database.system import SystemSql
from actors.errors import DatabaseBroken
from actors.model.birth import apply_schema, template_image
from actors.settings import DatabaseSettings
from storage.errors import CorruptObject

_WAL_VERSIONS = b"\x02\x02"
_JOURNAL_VERSIONS = b"\x01\x01"
_VERSIONS_AT = 18


def file_image(body: bytes, settings: DatabaseSettings) -> PageImage:
    """The image in a file's bytes; a new database's for none. Raises CorruptObject."""
    if not body:
        return template_image(settings)
    try:
        page_size = page_size_of(body)
        # A file that is still being appended to elsewhere may end in half a page; SQLite does not look at it either.
        image = PageImage.from_bytes(body[: len(body) // page_size * page_size])
    except ValueError as error:
        raise CorruptObject(f"database.sqlite: {error}") from error
    first = image.pages[0]
    if first[_VERSIONS_AT : _VERSIONS_AT + 2] == _WAL_VERSIONS:
        image.pages[0] = first[:_VERSIONS_AT] + _JOURNAL_VERSIONS + first[_VERSIONS_AT + 2 :]
    return image


@contextmanager
def opened_file(body: bytes, settings: DatabaseSettings, *, wall: float) -> Iterator[Database]:
    """The database in a file, its schema up to date, nothing pending. Raises CorruptObject, SchemaFailed."""
    image = file_image(body, settings)
    try:
        database = Database.open(image, settings)
    except DatabaseBroken as error:
        raise CorruptObject(f"database.sqlite: {error.message}") from error
    try:
        if database.system(_has_ledger):
            apply_schema(database, now=wall)
        else:
            database.system(lambda system: create_system_tables(system, ORIGIN_IMPORT))
        database.take_commit()
        yield database
    finally:
        database.close()


def _has_ledger(system: SystemSql) -> bool:
    return bool(system.execute("SELECT 1 FROM sqlite_schema WHERE name = '_cf_meta'"))
