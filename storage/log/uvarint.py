"""Unsigned LEB128 integers, as the page index stores them. Pure.

Seven bits a byte, the lowest first; a set high bit says that more follow.
"""

from __future__ import annotations

UVARINT_MAX = (1 << 64) - 1
LAST_SHIFT = 63


class InvalidUvarint(ValueError):
    """Bytes that end inside a number, or a number that does not fit 64 bits."""


def append_uvarint(target: bytearray, value: int) -> None:
    """Append `value` (0 .. 2^64-1) to `target`."""
    while value > 0x7F:
        target.append(value & 0x7F | 0x80)
        value >>= 7
    target.append(value)


def decode_uvarints(data: bytes) -> list[int]:
    """Every number in `data`, which holds nothing else; raises `InvalidUvarint`."""
    values: list[int] = []
    value = shift = 0
    for offset, byte in enumerate(data):
        if byte < 0x80:
            values.append(value | byte << shift)
            value = shift = 0
            continue
        value |= (byte & 0x7F) << shift
        shift += 7
        if shift > LAST_SHIFT:
            raise InvalidUvarint(f"the number at byte {offset} of {len(data)} is longer than 64 bits")
    if shift:
        raise InvalidUvarint(f"the last number does not end within {len(data)} bytes")
    if values and max(values) > UVARINT_MAX:
        raise InvalidUvarint(f"the number {max(values)} is longer than 64 bits")
    return values
