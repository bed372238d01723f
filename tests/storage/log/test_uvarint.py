"""LEB128 numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.log.uvarint import InvalidUvarint, append_uvarint, decode_uvarints


def encoded(value: int) -> bytes:
    target = bytearray()
    append_uvarint(target, value)
    return bytes(target)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), ((1 << 64) - 1, "ff" * 9 + "01")]
)
def test_golden_numbers(value: int, text: str) -> None:
    assert encoded(value).hex() == text


@given(st.lists(st.integers(0, (1 << 64) - 1)))
def test_any_numbers_survive_the_round_trip(values: list[int]) -> None:
    assert decode_uvarints(b"".join(encoded(value) for value in values)) == values


@given(st.integers(128, (1 << 64) - 1))
def test_a_number_cut_short_is_refused(value: int) -> None:
    data = encoded(value)
    for length in range(1, len(data)):
        with pytest.raises(InvalidUvarint, match="does not end"):
            decode_uvarints(data[:length])


@pytest.mark.parametrize("text", ["ff" * 9 + "02", "80" * 10 + "01", "ff" * 12])
def test_a_number_beyond_64_bits_is_refused(text: str) -> None:
    with pytest.raises(InvalidUvarint, match="longer than 64 bits"):
        decode_uvarints(bytes.fromhex(text))
