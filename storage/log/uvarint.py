"""Unsigned LEB128 integers, as the page index stores them. Pure.

Seven bits a byte, the lowest first; a set high bit says that more follow.
"""

from __future__ import annotations

UVARINT_BYTES_MAX = 10


class InvalidUvarint(ValueError):
    """Bytes that end inside a number, or a number that does not fit 64 bits."""


def append_uvarint(target: bytearray, value: int) -> None:
    """Append `value` (0 .. 2^64-1) to `target`."""
    while value > 0x7F:
        target.append(value & 0x7F | 0x80)
        value >>= 7
    target.append(value)


def read_uvarint(data: bytes, start: int, end: int) -> tuple[int, int]:
    """(value, offset behind it), reading within data[start:end]; raises `InvalidUvarint`."""
    value = shift = 0
    for offset in range(start, min(end, start + UVARINT_BYTES_MAX)):
        byte = data[offset]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 64:
                raise InvalidUvarint(f"the number at offset {start} needs more than 64 bits")
            return value, offset + 1
        shift += 7
    raise InvalidUvarint(f"the number at offset {start} does not end within {min(end, start + UVARINT_BYTES_MAX)}")
