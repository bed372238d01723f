"""One page inside a segment, compressed by itself. Pure.

    offset size   field           block form (written)              frame form (read only: Litestream before 0.5.16)
    0      4      page number     big-endian, ascending             the same
    4      2      flags           1                                 0
    6      4      length n        bytes of the LZ4 block            absent
    10/6   n      data            LZ4 block, inflates to one page   LZ4 frame, inflates to one page

The segment's checksum covers number, flags, length and the *uncompressed* page. Six zero bytes end the pages.
A page never inflates beyond the page size, whatever the bytes say.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import fastcrc
import lz4.block
import lz4.frame

from storage.errors import CorruptSegment, UnsupportedVersion
from storage.log.page import Page

END_OF_PAGES = bytes(6)
FLAG_FRAME = 0
FLAG_BLOCK = 1
FRAME_HEADER_BYTES = 6
BLOCK_HEADER_BYTES = 10

_BLOCK_HEADER = struct.Struct(">IHI")

Span = tuple[int, int, int]
"""(page number, offset of its frame in the segment, length of the frame with its header)"""


@dataclass(frozen=True, slots=True)
class EncodedPages:
    """Frames ready to be joined (header and data alternate), where each lies, and the checksum so far."""

    parts: list[bytes]
    spans: list[Span]
    checksum: int


def encode_pages(pages: Sequence[Page], *, offset: int, checksum: int) -> EncodedPages:
    """Block frames of `pages`, the first at `offset`, going on from the CRC `checksum`."""
    compress = cast(Callable[..., bytes], lz4.block.compress)
    pack, crc = _BLOCK_HEADER.pack, fastcrc.crc64.go_iso
    parts: list[bytes] = []
    spans: list[Span] = []
    for number, page in pages:
        data = compress(page, store_size=False)
        head = pack(number, FLAG_BLOCK, len(data))
        checksum = crc(page, crc(head, checksum))
        length = BLOCK_HEADER_BYTES + len(data)
        parts += (head, data)
        spans.append((number, offset, length))
        offset += length
    return EncodedPages(parts, spans, checksum)


def decode_pages(
    body: bytes, spans: Sequence[Span], *, page_size: int, checksum: int, name: str
) -> tuple[tuple[Page, ...], int]:
    """Pages of the frames at `spans` and the CRC gone on from `checksum`. Raises CorruptSegment, UnsupportedVersion."""
    decompress = cast(Callable[..., bytes], lz4.block.decompress)
    unpack, crc = _BLOCK_HEADER.unpack_from, fastcrc.crc64.go_iso
    pages: list[Page] = []
    for span in spans:
        number, offset, length = span
        found, flags, size = unpack(body, offset)
        if flags == FLAG_BLOCK and found == number and size == length - BLOCK_HEADER_BYTES:
            data = offset + BLOCK_HEADER_BYTES
            try:
                page = decompress(body[data : data + size], uncompressed_size=page_size)
            except lz4.block.LZ4BlockError as error:
                raise _no_page(span, page_size, error, name) from error
        else:
            page, data = _decode_rare(body, span, page_size, name)
        if len(page) != page_size:
            raise CorruptSegment(
                f"{name}: page {number} at {offset} inflates to {len(page)} bytes, expected {page_size}"
            )
        checksum = crc(page, crc(body[offset:data], checksum))
        pages.append((number, page))
    return tuple(pages), checksum


def _decode_rare(body: bytes, span: Span, page_size: int, name: str) -> tuple[bytes, int]:
    """The page of a frame in the older form, and where its data begins; raises for everything else."""
    number, offset, length = span
    found, flags, size = _BLOCK_HEADER.unpack_from(body, offset)
    if found != number:
        raise CorruptSegment(f"{name}: frame at {offset} holds page {found}, the index says {number}")
    if flags == FLAG_BLOCK:
        expected = length - BLOCK_HEADER_BYTES
        raise CorruptSegment(f"{name}: page {number} at {offset} states {size} bytes of data, the index {expected}")
    if flags != FLAG_FRAME:
        raise UnsupportedVersion(f"{name}: page {number} at {offset} has flags {flags:#x}, this version reads 0 and 1")
    data = offset + FRAME_HEADER_BYTES
    return _inflate_frame(body[data : offset + length], span, page_size, name), data


def _inflate_frame(data: bytes, span: Span, page_size: int, name: str) -> bytes:
    number, offset, _ = span
    decompressor = lz4.frame.LZ4FrameDecompressor()
    try:
        page = cast(bytes, decompressor.decompress(data, max_length=page_size + 1))
    except RuntimeError as error:
        raise _no_page(span, page_size, error, name) from error
    if not decompressor.eof or decompressor.unused_data:
        raise CorruptSegment(f"{name}: the LZ4 frame of page {number} at {offset} does not end where the index says")
    return page


def _no_page(span: Span, page_size: int, error: Exception, name: str) -> CorruptSegment:
    return CorruptSegment(f"{name}: page {span[0]} at {span[1]} does not inflate to {page_size} bytes: {error}")
