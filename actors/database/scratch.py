"""Unguarded connections over images nobody serves: exports and imports are prepared on them.

The file may be anybody's, so extensions, ATTACH to files and trust in its schema are off; limits and authorizer are not
set, because the system itself chooses what runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from actors.database.guard import harden
from actors.database.image import PageImage
from actors.database.vfs import ImageFile, connect


@contextmanager
def scratch_connection(image: PageImage) -> Iterator[apsw.Connection]:
    """A connection that writes into `image`. Raises apsw.Error."""
    connection = connect(ImageFile(image), read_only=False, statements_cached=0)
    try:
        for pragma in (
            "locking_mode = EXCLUSIVE",
            "journal_mode = MEMORY",
            "temp_store = MEMORY",
            "cache_spill = OFF",
            "foreign_keys = OFF",
            "secure_delete = ON",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        harden(connection)
        yield connection
    finally:
        connection.close(True)


def quoted(name: str) -> str:
    """An identifier as SQL text."""
    return '"' + name.replace('"', '""') + '"'
