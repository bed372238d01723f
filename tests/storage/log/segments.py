"""Segments for tests: one by keywords, any by hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from storage.log.page import Page
from storage.log.segment import Segment

PAGE_SIZES = [512, 1024, 4096]


def a_page(number: int, size: int = 512) -> bytes:
    """A page that differs from every other number's, half text and half zeros."""
    text = b"".join(b"page %d, row %d; " % (number, row) for row in range(size // 40))
    return text[:size].ljust(size, b"\0")


def a_segment(
    *,
    first: int = 7,
    last: int | None = None,
    page_size: int = 512,
    page_count: int = 10,
    pages: tuple[Page, ...] | None = None,
    node_id: int = 3,
    timestamp_ms: int = 1_700_000_000_123,
) -> Segment:
    """Slot 7 of epoch 3: pages 2 and 9 of a database of ten, unless said otherwise."""
    if pages is None:
        pages = tuple((number, a_page(number, page_size)) for number in (2, 9) if number <= page_count)
    return Segment(first, first if last is None else last, page_size, page_count, pages, node_id, timestamp_ms)


def a_full_segment(page_count: int, *, last: int = 1, page_size: int = 512, salt: int = 0) -> Segment:
    """Slots 1 to `last` with every page."""
    pages = tuple((number, a_page(number + salt, page_size)) for number in range(1, page_count + 1))
    return a_segment(first=1, last=last, page_size=page_size, page_count=page_count, pages=pages)


@st.composite
def page_bytes(draw: st.DrawFn, size: int) -> bytes:
    """A page: zeros, a repeated pattern, text, or noise that does not compress."""
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return bytes(size)
    if kind == 1:
        pattern = draw(st.binary(min_size=1, max_size=40))
        return (pattern * (size // len(pattern) + 1))[:size]
    if kind == 2:
        return a_page(draw(st.integers(0, 10**6)), size)
    return draw(st.randoms(use_true_random=False)).randbytes(size)


@st.composite
def any_segments(draw: st.DrawFn) -> Segment:
    """Any valid segment of a database of up to 40 pages."""
    page_size = draw(st.sampled_from(PAGE_SIZES))
    page_count = draw(st.integers(0, 40))
    first = draw(st.integers(1, 3) | st.integers(1, (1 << 64) - 1))
    last = draw(st.just(first) | st.integers(first, (1 << 64) - 1))
    numbers = set(range(1, page_count + 1))
    if first > 1:
        numbers = draw(st.sets(st.integers(1, page_count), max_size=12)) if page_count else set()
    pages = tuple((number, draw(page_bytes(page_size))) for number in sorted(numbers))
    node_id = draw(st.integers(0, (1 << 64) - 1))
    return Segment(first, last, page_size, page_count, pages, node_id, draw(st.integers(0, (1 << 63) - 1)))
