"""Page numbers of a database image: which exist, which one is never written, which a growing commit must add. Pure.

Pages count from 1. The *lock page* is the one that holds byte 2^30 of the file: SQLite locks there and never stores
anything in it, so no segment carries it and an image holds zeros in its place.

A commit may grow the database by more pages than it writes (SQLite leaves holes that read as zeros). A reader that
applies segments one after the other has to find every page above the previous size, so the writer adds the missing
ones as zeros: `fill_growth`.
"""

from __future__ import annotations

from collections.abc import Iterable

PAGE_SIZES = frozenset(1 << power for power in range(9, 17))
PAGE_COUNT_MAX = 0xFFFFFFFE
LOCK_BYTE = 0x40000000

Page = tuple[int, bytes]


def lock_page(page_size: int) -> int:
    """Number of the page that is never written: 262145 at 4096 bytes."""
    return LOCK_BYTE // page_size + 1


def stored_page_count(page_count: int, page_size: int) -> int:
    """How many pages a segment with all of them carries: `page_count`, less the lock page where it lies inside."""
    return page_count - 1 if page_count >= lock_page(page_size) else page_count


def fill_growth(previous_page_count: int, page_count: int, pages: Iterable[Page], page_size: int) -> tuple[Page, ...]:
    """`pages` in ascending order, with a zero page for every hole in (previous_page_count, page_count].

    Pages above `page_count` (written, then truncated away by the same commit) and the lock page are dropped. The same
    number twice is a mistake of the caller: the later one wins.
    """
    lock = lock_page(page_size)
    by_number = {number: page for number, page in pages if number <= page_count}
    by_number.pop(lock, None)
    zeros: bytes | None = None
    for number in range(previous_page_count + 1, page_count + 1):
        if number not in by_number and number != lock:
            zeros = zeros or bytes(page_size)
            by_number[number] = zeros
    return tuple(sorted(by_number.items()))
