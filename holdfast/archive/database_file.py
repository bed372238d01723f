"""A rebuilt image as a file that any SQLite opens, and that can be imported again.

Holdfast's own tables (`_cf_…`) are taken out unless the image is wanted as it is. The file appears whole or not at all.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from actors.database.guard import RESERVED_PREFIX
from storage.errors import CorruptSegment
from storage.log.rebuild import Image


def write_database(image: Image, target: Path, *, raw: bool = False) -> int:
    """Write the file; its size in bytes. Raises CorruptSegment when SQLite cannot read it, and OSError."""
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:
            for page in image.pages:
                file.write(page)
        if not raw:
            _drop_system_tables(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        size = part.stat().st_size
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return size


def _drop_system_tables(path: Path) -> None:
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("PRAGMA foreign_keys = OFF")
            names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            connection.execute("BEGIN")
            for (name,) in names:
                if name.lower().startswith(RESERVED_PREFIX):
                    connection.execute(f'DROP TABLE "{name}"')
            connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        raise CorruptSegment(f"the rebuilt database cannot be read: {error}") from error
