"""Where each page's frame lies, behind the frames of a segment. Pure.

    for each page, ascending:  uvarint page number, uvarint offset of its frame in the file, uvarint length of the frame
    end:                       uvarint 0
    8 bytes, big-endian:       length in bytes of all the above, itself excluded

Reading demands that the spans tile the file: the first begins behind the header, each begins where the one before
ended, and the last ends at the marker that ends the pages. So an index can neither skip a frame nor name one twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage.errors import CorruptSegment
from storage.log.header import HEADER_BYTES
from storage.log.page_frame import END_OF_PAGES, FRAME_HEADER_BYTES, Span
from storage.log.uvarint import InvalidUvarint, append_uvarint, decode_uvarints

INDEX_LENGTH_BYTES = 8


def encode_index(spans: Sequence[Span]) -> bytes:
    """Index of `spans`, with its length field."""
    index = bytearray()
    for number, offset, length in spans:
        append_uvarint(index, number)
        append_uvarint(index, offset)
        append_uvarint(index, length)
    index.append(0)
    return bytes(index) + len(index).to_bytes(INDEX_LENGTH_BYTES)


def decode_index(body: bytes, end: int, *, name: str) -> tuple[list[Span], int]:
    """Spans of the index whose length field ends at `end`, and the offset of the marker before it.

    Raises `CorruptSegment` unless the spans tile the bytes between header and marker.
    """
    length = int.from_bytes(body[end - INDEX_LENGTH_BYTES : end])
    start = end - INDEX_LENGTH_BYTES - length
    marker = start - len(END_OF_PAGES)
    if length < 1 or marker < HEADER_BYTES:
        raise CorruptSegment(f"{name}: index of {length} bytes in a file of {len(body)}")
    if body[marker:start] != END_OF_PAGES:
        raise CorruptSegment(
            f"{name}: {body[marker:start].hex()} at {marker}, expected {END_OF_PAGES.hex()} to end the pages"
        )
    spans = _decode_spans(body[start : end - INDEX_LENGTH_BYTES], name)
    _check_tiling(spans, marker, name)
    return spans, marker


def _decode_spans(index: bytes, name: str) -> list[Span]:
    try:
        values = decode_uvarints(index)
    except InvalidUvarint as error:
        raise CorruptSegment(f"{name}: index: {error}") from error
    numbers = values[::3]
    if len(values) % 3 != 1 or numbers[-1] != 0 or 0 in numbers[:-1]:
        raise CorruptSegment(
            f"{name}: index of {len(values)} numbers, expected three a page and a zero at the end alone"
        )
    return list(zip(numbers[:-1], values[1::3], values[2::3], strict=True))


def _check_tiling(spans: Sequence[Span], marker: int, name: str) -> None:
    expected = HEADER_BYTES
    for number, offset, length in spans:
        if offset != expected or length <= FRAME_HEADER_BYTES:
            raise CorruptSegment(
                f"{name}: index has page {number} at {offset}, {length} bytes long, expected at {expected}"
            )
        expected = offset + length
    if expected != marker:
        raise CorruptSegment(f"{name}: the frames in the index end at {expected}, the pages at {marker}")
