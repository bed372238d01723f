"""The 100 bytes at the front of a segment. Pure.

LTX version 3, every number big-endian. The file names no version beside its magic; flags and reserved bytes that this
version does not know are refused as newer, never guessed.

    offset size  field               value
    0      4     magic               "LTX1"
    4      4     flags               0x00000002: no database checksums (Litestream cannot restore logs with them)
    8      4     page size           512 .. 65536, a power of two
    12     4     page count          size of the database in pages once the segment is applied
    16     8     first slot          >= 1; 1 means that every page is inside
    24     8     last slot           >= first
    32     8     timestamp           ms since 1970 (UTC), for people and for restores to a time
    40     8     pre-apply checksum  0
    48     8     WAL offset          0 (Litestream's own files have values here; read and ignored)
    56     8     WAL size            0 (likewise)
    64     4     WAL salt 1          0 (likewise)
    68     4     WAL salt 2          0 (likewise)
    72     8     node id             the writer's epoch; free for us, ignored by Litestream
    80     20    reserved            0
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from storage.errors import CorruptSegment, UnsupportedVersion
from storage.log.page import PAGE_COUNT_MAX, PAGE_SIZES

HEADER_BYTES = 100
MAGIC = b"LTX1"
FLAG_NO_CHECKSUM = 0x2
SLOT_MAX = (1 << 64) - 1
TIMESTAMP_MS_MAX = (1 << 63) - 1

_HEADER = struct.Struct(">4sIIIQQQQQQIIQ20s")
_RESERVED = bytes(20)


@dataclass(frozen=True, slots=True)
class Header:
    """What a segment says of itself before its pages. `page_count` in pages, `page_size` in bytes."""

    first: int
    last: int
    page_size: int
    page_count: int
    node_id: int
    timestamp_ms: int


def header_flaw(header: Header) -> str | None:
    """The first rule of the table above that `header` breaks, or None."""
    if header.page_size not in PAGE_SIZES:
        return f"page size {header.page_size}, expected a power of two from 512 to 65536"
    if not 0 <= header.page_count <= PAGE_COUNT_MAX:
        return f"page count {header.page_count}, expected 0 to {PAGE_COUNT_MAX}"
    if not 1 <= header.first <= header.last <= SLOT_MAX:
        return f"slots {header.first} to {header.last}, expected 1 or more, in order"
    if not 0 <= header.timestamp_ms <= TIMESTAMP_MS_MAX:
        return f"timestamp {header.timestamp_ms}, expected 0 to {TIMESTAMP_MS_MAX} ms"
    if not 0 <= header.node_id <= SLOT_MAX:
        return f"node id {header.node_id}, expected 0 to {SLOT_MAX}"
    return None


def encode_header(header: Header) -> bytes:
    """The 100 bytes of a header without flaw."""
    h = header
    fixed = (MAGIC, FLAG_NO_CHECKSUM, h.page_size, h.page_count, h.first, h.last, h.timestamp_ms)
    return _HEADER.pack(*fixed, 0, 0, 0, 0, 0, h.node_id, _RESERVED)


def decode_header(body: bytes, *, name: str = "segment") -> Header:
    """Header of a segment's body (its first 100 bytes are enough).

    Raises `CorruptSegment`, or `UnsupportedVersion` for a magic, flag or reserved byte of a newer format.
    """
    if len(body) < HEADER_BYTES:
        raise CorruptSegment(f"{name}: {len(body)} bytes, a header alone has {HEADER_BYTES}")
    magic, flags, page_size, page_count, first, last, timestamp_ms, pre, *_, node_id, reserved = _HEADER.unpack_from(
        body
    )
    _check_version(magic, flags, reserved, name)
    if pre != 0:
        raise CorruptSegment(f"{name}: pre-apply checksum at 40 is {pre:#x}, expected 0 with flags {flags:#x}")
    header = Header(first, last, page_size, page_count, node_id, timestamp_ms)
    if flaw := header_flaw(header):
        raise CorruptSegment(f"{name}: header: {flaw}")
    return header


def _check_version(magic: bytes, flags: int, reserved: bytes, name: str) -> None:
    if magic != MAGIC:
        if magic.startswith(MAGIC[:3]):
            raise UnsupportedVersion(f"{name}: magic {magic!r}, this version reads {MAGIC!r}")
        raise CorruptSegment(f"{name}: magic {magic!r}, expected {MAGIC!r}")
    if flags != FLAG_NO_CHECKSUM:
        raise UnsupportedVersion(f"{name}: flags {flags:#x}, this version reads {FLAG_NO_CHECKSUM:#x} alone")
    if reserved != _RESERVED:
        raise UnsupportedVersion(f"{name}: reserved bytes 80 to 100 are in use, this version knows no meaning for them")
