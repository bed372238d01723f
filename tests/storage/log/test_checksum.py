"""CRC-64/GO-ISO and MD5."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import CorruptSegment
from storage.log.checksum import crc64, verify_body
from tests.storage.log.plain_ltx import crc_of


def test_the_check_value_of_the_algorithm() -> None:
    assert crc64(b"123456789") == 0xB90956C775A41001


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_it_goes_on_from_a_part_and_agrees_with_a_table_driven_one(first: bytes, second: bytes) -> None:
    assert crc64(second, crc64(first)) == crc64(first + second) == crc_of(first + second)


def test_a_body_is_held_to_its_objects_md5() -> None:
    body = b"pages"
    etag = hashlib.md5(body).hexdigest()
    assert verify_body(body, etag)
    assert verify_body(body, f'"{etag}"')
    with pytest.raises(CorruptSegment, match=f"0000/7: md5 of the 5 bytes is .* etag says {etag}"):
        verify_body(b"Pages", etag, name="0000/7")


@pytest.mark.parametrize("etag", ["", "0" * 31, "0" * 32 + "-2", "not an md5", "A" * 32])
def test_an_etag_that_is_no_plain_md5_says_nothing(etag: str) -> None:
    assert not verify_body(b"pages", etag)
