"""A database image: its pages in memory, and the pages that one commit changed.

Pages are immutable `bytes`, so copying the list of pages is a consistent snapshot at the cost of one pointer per page:
that is how exports, streams and snapshots read while the live image goes on. A chain of `CommitPages` applied in order
to the image it started from gives the live image byte for byte; the journal, the log and recovery rest on that. Who
writes into an image is the VFS next door; nothing here knows SQLite beyond the header's page size.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import msgspec

PAGE_SIZES = frozenset(1 << n for n in range(9, 17))
HEADER_BYTES = 100
MAGIC = b"SQLite format 3\x00"


class CommitPages(msgspec.Struct, frozen=True):
    """What one commit changed: `pages` as (page number from 1, bytes), ascending; afterwards `page_count` pages.

    Every page that the commit added to the file is there, zeroed where SQLite never wrote it. (A msgspec struct because
    one is built per commit, at a quarter of a frozen dataclass's cost.)
    """

    page_count: int
    pages: tuple[tuple[int, bytes], ...]

    @property
    def byte_size(self) -> int:
        """Bytes of page content."""
        return sum(len(page) for _, page in self.pages)


class PageImage:
    """A whole database as a list of pages of one size. An empty list is a database that was never written."""

    __slots__ = ("page_size", "pages")

    def __init__(self, page_size: int, pages: list[bytes]) -> None:
        self.page_size = page_size
        self.pages = pages

    @classmethod
    def empty(cls, page_size: int) -> PageImage:
        """An image without pages; SQLite makes a database of it at the first write."""
        if page_size not in PAGE_SIZES:
            raise ValueError(f"page size {page_size}, expected a power of two from 512 to 65536")
        return cls(page_size, [])

    @classmethod
    def from_bytes(cls, data: bytes) -> PageImage:
        """The image in a database file. Raises ValueError if the header or the length is not one of a database."""
        page_size = page_size_of(data)
        if len(data) % page_size:
            raise ValueError(f"{len(data)} bytes are no whole number of pages of {page_size}")
        return cls(page_size, [bytes(data[at : at + page_size]) for at in range(0, len(data), page_size)])

    def copy(self) -> PageImage:
        """A consistent snapshot: pages are shared, later commits do not show in it."""
        return PageImage(self.page_size, self.pages.copy())

    @property
    def page_count(self) -> int:
        return len(self.pages)

    @property
    def byte_size(self) -> int:
        return len(self.pages) * self.page_size

    def apply(self, commit: CommitPages) -> None:
        """Bring the image to what it was after `commit`. Raises ValueError if the commit does not fit in."""
        pages = self.pages
        del pages[commit.page_count :]
        pages.extend([zero_page(self.page_size)] * (commit.page_count - len(pages)))
        for number, page in commit.pages:
            if len(page) != self.page_size or not 0 < number <= commit.page_count:
                raise ValueError(f"page {number} of {len(page)} bytes in a commit of {commit.page_count} pages")
            pages[number - 1] = page

    def as_commit(self) -> CommitPages:
        """All pages as one commit."""
        return CommitPages(len(self.pages), tuple(enumerate(self.pages, 1)))

    def to_chunks(self, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """The file's bytes, in pieces of about `chunk_bytes`."""
        step = max(1, chunk_bytes // self.page_size)
        for first in range(0, len(self.pages), step):
            yield b"".join(self.pages[first : first + step])

    def to_bytes(self) -> bytes:
        """The whole file."""
        return b"".join(self.pages)


def page_size_of(data: bytes) -> int:
    """Page size in a database file's header. Raises ValueError if this is no database header."""
    if len(data) < HEADER_BYTES or data[:16] != MAGIC:
        raise ValueError("not a SQLite database: the header is missing")
    page_size = int.from_bytes(data[16:18], "big")
    page_size = 65536 if page_size == 1 else page_size
    if page_size not in PAGE_SIZES:
        raise ValueError(f"page size {page_size} in the header, expected a power of two from 512 to 65536")
    return page_size


@functools.cache
def zero_page(page_size: int) -> bytes:
    """The one shared page of zeros."""
    return bytes(page_size)
