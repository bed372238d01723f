"""A database as a plain SQLite file, without the system's tables and without a byte of theirs.

Works on a copy of the image, so the live one goes on. The tables are dropped with secure_delete, which zeroes what it
frees; pages on the free list, of whatever origin, are zeroed too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor

from actors.database.image import PageImage, zero_page
from actors.database.reserved import SYSTEM_ENTRIES_SQL
from actors.database.scratch import quoted, scratch_connection

CHUNK_BYTES = 1 << 20
_TRUNK_HEADER_BYTES = 8


async def export_chunks(
    image: PageImage, *, executor: Executor | None = None, chunk_bytes: int = CHUNK_BYTES
) -> AsyncIterator[bytes]:
    """The file in chunks. `image` is a copy of its own; the work on it runs in a worker thread."""
    loop = asyncio.get_running_loop()
    file = await loop.run_in_executor(executor, without_system_tables, image)
    for chunk in file.to_chunks(chunk_bytes):
        yield chunk


def without_system_tables(image: PageImage) -> PageImage:
    """`image` as users may have it. The argument is left alone; pages that did not change are shared."""
    exported = image.copy()
    if not exported.pages:
        return exported
    with scratch_connection(exported) as connection:
        names = [str(row[0]) for row in connection.execute(SYSTEM_ENTRIES_SQL) if row[2] is not None]
        with connection:
            for name in names:
                connection.execute(f"DROP TABLE IF EXISTS main.{quoted(name)}")
    clear_free_pages(exported)
    return exported


def clear_free_pages(image: PageImage) -> None:
    """Zero what the pages of the free list hold besides the list itself."""
    pages, size = image.pages, image.page_size
    trunk = int.from_bytes(pages[0][32:36], "big")
    seen: set[int] = set()
    while 0 < trunk <= image.page_count and trunk not in seen:
        seen.add(trunk)
        page = pages[trunk - 1]
        end = min(_TRUNK_HEADER_BYTES + 4 * int.from_bytes(page[4:8], "big"), size)
        for at in range(_TRUNK_HEADER_BYTES, end, 4):
            leaf = int.from_bytes(page[at : at + 4], "big")
            if 1 < leaf <= image.page_count:
                pages[leaf - 1] = zero_page(size)
        pages[trunk - 1] = page[:end] + bytes(size - end)
        trunk = int.from_bytes(page[:4], "big")
