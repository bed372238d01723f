"""A rebuilt image as a file that any SQLite opens, and that can be imported again.

Holdfast's own tables (`_cf_…`) are taken out unless the image is wanted as it is. The file appears whole or not at all.
"""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from actors.database.export import without_system_tables
from actors.database.image import PageImage
from storage.errors import CorruptSegment
from storage.log.rebuild import Image


def write_database(image: Image, target: Path, *, raw: bool = False) -> int:
    """Write the file; its size in bytes. Raises CorruptSegment when SQLite cannot read it, and OSError."""
    pages = PageImage(image.page_size, image.pages)
    if not raw:
        try:
            pages = without_system_tables(pages)
        except apsw.Error as error:
            raise CorruptSegment(f"the state at slot {image.slot} cannot be read: {error}") from error
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:
            file.writelines(pages.pages)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return pages.byte_size
