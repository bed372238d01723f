"""A segment: the pages that one slot of an actor's log changes, as one immutable LTX file. Pure.

    100 bytes   header                  storage/log/header.py
    ...         page frames, ascending  storage/log/page_frame.py
    6 bytes     zeros                   end of the pages
    ...         index, its length       storage/log/page_index.py
    8 bytes     post-apply checksum     0
    8 bytes     file checksum           2^63 | CRC-64/GO-ISO of header, frame headers, uncompressed pages, and all from
                                        the six zeros up to here

`encode_segment` and `decode_segment` hold a segment to the same rules (`segment_flaw`): ascending page numbers within
the page count, whole pages, never the lock page, and every page when the first slot is 1. A segment without pages is
valid: it claims or fences. Decoding verifies every byte that carries content; the few bits it cannot see (two LZ4
blocks that inflate to one page) are the object's MD5's to see (`verify_body`). What a segment means, its record, is
written elsewhere (storage/log/record.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.errors import CorruptSegment
from storage.log.checksum import CHECKSUM_FLAG, crc64, verify_body
from storage.log.header import HEADER_BYTES, Header, decode_header, encode_header, header_flaw
from storage.log.page import Page, fill_growth, lock_page, stored_page_count
from storage.log.page_frame import END_OF_PAGES, decode_pages, encode_pages
from storage.log.page_index import INDEX_LENGTH_BYTES, decode_index, encode_index

__all__ = [
    "Page",
    "Segment",
    "decode_header",
    "decode_segment",
    "encode_segment",
    "fill_growth",
    "segment_flaw",
    "verify_body",
]

CHECKSUM_BYTES = 8
TRAILER_BYTES = 2 * CHECKSUM_BYTES
SEGMENT_BYTES_MIN = HEADER_BYTES + len(END_OF_PAGES) + 1 + INDEX_LENGTH_BYTES + TRAILER_BYTES
"""Size of a segment without pages: 131 bytes."""

_NO_CHECKSUM = bytes(CHECKSUM_BYTES)


@dataclass(frozen=True, slots=True)
class Segment:
    """Slots `first` to `last` in one: the database has `page_count` pages afterwards, and `pages` are the changed ones.

    `pages`: (number from 1, exactly `page_size` bytes), ascending. `node_id` is the writer's epoch, `timestamp_ms`
    Unix time.
    """

    first: int
    last: int
    page_size: int
    page_count: int
    pages: tuple[Page, ...]
    node_id: int
    timestamp_ms: int

    @property
    def header(self) -> Header:
        return Header(self.first, self.last, self.page_size, self.page_count, self.node_id, self.timestamp_ms)


def segment_flaw(segment: Segment) -> str | None:
    """The first rule that `segment` breaks, or None."""
    flaw = header_flaw(segment.header)
    if flaw is not None:
        return flaw
    previous, page_size, lock = 0, segment.page_size, lock_page(segment.page_size)
    for number, page in segment.pages:
        if number <= previous:
            return f"page {number} after page {previous}, expected ascending numbers from 1"
        if len(page) != page_size:
            return f"page {number} has {len(page)} bytes, expected {page_size}"
        if number == lock:
            return f"page {number} is the lock page, which is never stored"
        previous = number
    if previous > segment.page_count:
        return f"page {previous} in a database of {segment.page_count} pages"
    expected = stored_page_count(segment.page_count, page_size)
    if segment.first == 1 and len(segment.pages) != expected:
        return f"{len(segment.pages)} pages, expected all {expected} since its first slot is 1"
    return None


def encode_segment(segment: Segment) -> bytes:
    """The body of the segment's object. A flaw is a mistake of the caller: AssertionError."""
    if flaw := segment_flaw(segment):
        raise AssertionError(f"segment of slots {segment.first} to {segment.last}: {flaw}")
    header = encode_header(segment.header)
    frames = encode_pages(segment.pages, offset=HEADER_BYTES, checksum=crc64(header))
    tail = END_OF_PAGES + encode_index(frames.spans) + _NO_CHECKSUM
    checksum = CHECKSUM_FLAG | crc64(tail, frames.checksum)
    return b"".join((header, *frames.parts, tail, checksum.to_bytes(CHECKSUM_BYTES)))


def decode_segment(body: bytes, *, name: str = "segment") -> Segment:
    """The segment of an object's whole body; `name` (its key) opens every error message.

    Raises `CorruptSegment` naming what is wrong, where, and what was expected; `UnsupportedVersion` for a newer format.
    """
    header = decode_header(body, name=name)
    if len(body) < SEGMENT_BYTES_MIN:
        raise CorruptSegment(f"{name}: {len(body)} bytes, the smallest segment has {SEGMENT_BYTES_MIN}")
    index_end = len(body) - TRAILER_BYTES
    post_apply = body[index_end : index_end + CHECKSUM_BYTES]
    if post_apply != _NO_CHECKSUM:
        raise CorruptSegment(f"{name}: post-apply checksum at {index_end} is {post_apply.hex()}, expected zeros")
    spans, marker = decode_index(body, index_end, name=name)
    checksum = crc64(body[:HEADER_BYTES])
    pages, checksum = decode_pages(body, spans, page_size=header.page_size, checksum=checksum, name=name)
    expected = CHECKSUM_FLAG | crc64(body[marker:-CHECKSUM_BYTES], checksum)
    found = int.from_bytes(body[-CHECKSUM_BYTES:])
    if found != expected:
        raise CorruptSegment(f"{name}: file checksum {found:016x}, its content gives {expected:016x}")
    h = header
    segment = Segment(h.first, h.last, h.page_size, h.page_count, pages, h.node_id, h.timestamp_ms)
    if flaw := segment_flaw(segment):
        raise CorruptSegment(f"{name}: {flaw}")
    return segment
