"""A second writer of LTX files, for tests: written from the format's description, sharing no code with the first.

It computes the checksum bit by bit, can leave pages uncompressed inside valid LZ4 blocks, writes the older frame form,
and breaks any single rule on request, with a checksum that still fits, so that the rule itself has to catch it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import lz4.block
import lz4.frame

Compress = Callable[[bytes], bytes]


def crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xD800000000000000 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc_table()


def crc_of(data: bytes) -> int:
    """CRC-64/GO-ISO."""
    crc = (1 << 64) - 1
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ (1 << 64) - 1


def packed(page: bytes) -> bytes:
    """As the library compresses it."""
    return bytes(lz4.block.compress(page, store_size=False))


def literal(page: bytes) -> bytes:
    """An LZ4 block that is nothing but one run of literals."""
    length = len(page)
    if length < 15:
        return bytes([length << 4]) + page
    rest, head = length - 15, bytearray([0xF0])
    while rest >= 255:
        head.append(255)
        rest -= 255
    return bytes(head) + bytes([rest]) + page


def frame(page: bytes) -> bytes:
    """An LZ4 frame, as Litestream wrote pages before 0.5.16."""
    return bytes(
        lz4.frame.compress(page, block_size=lz4.frame.BLOCKSIZE_MAX64KB, content_checksum=True, store_size=False)
    )


def leb128(value: int) -> bytes:
    encoded = b""
    while True:
        low, value = value % 128, value // 128
        encoded += bytes([low + 128 if value else low])
        if not value:
            return encoded


@dataclass(kw_only=True)
class PlainLtx:
    """Every field of a file; what is not given is as a valid file has it."""

    pages: Sequence[tuple[int, bytes]] = ()
    first: int = 7
    last: int = 7
    page_size: int = 512
    page_count: int = 10
    node_id: int = 3
    timestamp_ms: int = 1_700_000_000_123
    magic: bytes = b"LTX1"
    flags: int = 2
    pre_apply: int = 0
    wal: bytes = bytes(24)
    reserved: bytes = bytes(20)
    page_flags: int = 1
    compress: Compress = packed
    end_of_pages: bytes = bytes(6)
    index: list[tuple[int, int, int]] | None = None
    index_tail: bytes = b"\0"
    index_length: int | None = None
    post_apply: int = 0
    behind: bytes = b""
    spans: list[tuple[int, int, int]] = field(default_factory=list)

    def header(self) -> bytes:
        numbers = [(self.flags, 4), (self.page_size, 4), (self.page_count, 4), (self.first, 8), (self.last, 8)]
        numbers += [(self.timestamp_ms, 8), (self.pre_apply, 8)]
        fixed = b"".join(value.to_bytes(size, "big") for value, size in numbers)
        return self.magic + fixed + self.wal + self.node_id.to_bytes(8, "big") + self.reserved

    def encode(self) -> bytes:
        stored, covered = self.header(), self.header()
        for number, page in self.pages:
            data = self.compress(page)
            head = number.to_bytes(4, "big") + self.page_flags.to_bytes(2, "big")
            if self.page_flags == 1:
                head += len(data).to_bytes(4, "big")
            self.spans.append((number, len(stored), len(head) + len(data)))
            stored += head + data
            covered += head + page
        index = b"".join(leb128(value) for span in (self.spans if self.index is None else self.index) for value in span)
        index += self.index_tail
        length = len(index) if self.index_length is None else self.index_length
        tail = self.end_of_pages + index + length.to_bytes(8, "big") + self.post_apply.to_bytes(8, "big")
        checksum = crc_of(covered + tail) | 1 << 63
        return stored + tail + checksum.to_bytes(8, "big") + self.behind
