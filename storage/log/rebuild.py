"""Segments put together: into an image, or into one segment. Pure.

Applied in order, the newest page wins and the page count of each segment cuts the image off. Nothing is guessed: slots
that do not follow each other, two page sizes, or a growing segment that leaves a page out stop it with an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from storage.errors import CorruptSegment, LogGap
from storage.log.page import Page, lock_page
from storage.log.segment import Segment


@dataclass(frozen=True, slots=True)
class Image:
    """A database at the end of slot `slot`: page n is `pages[n - 1]`, the lock page holds zeros."""

    slot: int
    page_size: int
    pages: list[bytes]

    def to_bytes(self) -> bytes:
        """The database file."""
        return b"".join(self.pages)


def rebuild(snapshot: Segment | None, segments: Iterable[Segment]) -> Image:
    """The image after `segments`, in order, on top of `snapshot` (None: on nothing, the first begins with slot 1).

    Raises `LogGap` where slots do not follow each other, `CorruptSegment` where they do not fit together.
    """
    image: Image | None = None
    for segment in segments if snapshot is None else _chain(snapshot, segments):
        image = _applied(image, segment)
    if image is None:
        raise LogGap("nothing to rebuild from: no snapshot and no slot")
    return image


def merge(segments: Sequence[Segment]) -> Segment:
    """One segment that does what `segments` (at least one, in order) do one after the other: newest page, last size.

    It spans their slots and carries the last one's node id and timestamp. Errors as in `rebuild`.
    """
    assert segments, "nothing to merge"
    first, last = segments[0], segments[-1]
    pages: dict[int, bytes] = {}
    size, previous = first.page_count, first.first - 1
    for segment in segments:
        _check_follows(segment, previous, first.page_size)
        if segment.page_count < size:
            pages = {number: page for number, page in pages.items() if number <= segment.page_count}
        pages.update(segment.pages)
        size, previous = segment.page_count, segment.last
    ordered: tuple[Page, ...] = tuple(sorted(pages.items()))
    return Segment(first.first, last.last, first.page_size, size, ordered, last.node_id, last.timestamp_ms)


def _chain(snapshot: Segment, segments: Iterable[Segment]) -> Iterable[Segment]:
    yield snapshot
    yield from segments


def _applied(image: Image | None, segment: Segment) -> Image:
    """`image`, changed in place, at the end of `segment`."""
    if image is None:
        image = Image(0, segment.page_size, [])
    _check_follows(segment, image.slot, image.page_size)
    pages, old_count = image.pages, len(image.pages)
    del pages[segment.page_count :]
    if segment.page_count > old_count:
        _grow(pages, segment)
    for number, page in segment.pages:
        pages[number - 1] = page
    return Image(segment.last, segment.page_size, pages)


def _grow(pages: list[bytes], segment: Segment) -> None:
    """Make room up to the segment's page count, which must bring every new page but the lock page."""
    lock = lock_page(segment.page_size)
    old_count, new_count = len(pages), segment.page_count
    expected = new_count - old_count - (1 if old_count < lock <= new_count else 0)
    found = sum(1 for number, _ in segment.pages if number > old_count)
    if found != expected:
        growth = f"grows from {old_count} to {new_count} pages and brings {found} of the new ones"
        raise CorruptSegment(f"{_name(segment)}: {growth}, expected {expected}")
    pages.extend([b""] * (new_count - old_count))
    if old_count < lock <= new_count:
        pages[lock - 1] = bytes(segment.page_size)


def _check_follows(segment: Segment, previous: int, page_size: int) -> None:
    if segment.first != previous + 1:
        raise LogGap(f"{_name(segment)}: follows slot {previous}, expected slot {previous + 1}")
    if segment.page_size != page_size:
        raise CorruptSegment(f"{_name(segment)}: pages of {segment.page_size} bytes in a log of {page_size}")


def _name(segment: Segment) -> str:
    return f"segment of slots {segment.first} to {segment.last}"
