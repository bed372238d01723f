"""The first hundred bytes alone."""

from __future__ import annotations

import pytest

from storage.errors import CorruptSegment
from storage.log.header import HEADER_BYTES, Header, decode_header, encode_header
from tests.storage.log.plain_ltx import PlainLtx

HEADER = Header(first=1, last=9, page_size=65536, page_count=3, node_id=(1 << 64) - 1, timestamp_ms=1)


def test_a_header_is_a_hundred_bytes_and_reads_back() -> None:
    assert len(encode_header(HEADER)) == HEADER_BYTES == 100
    assert decode_header(encode_header(HEADER)) == HEADER
    assert decode_header(encode_header(HEADER) + b"pages") == HEADER


def test_every_field_stands_where_a_second_writer_puts_it() -> None:
    fields = {name: getattr(HEADER, name) for name in Header.__slots__}
    assert PlainLtx(**fields).header() == encode_header(HEADER)


@pytest.mark.parametrize("length", [0, 1, 99])
def test_less_than_a_header_is_corrupt(length: int) -> None:
    with pytest.raises(CorruptSegment, match=f"slot 9: {length} bytes, a header alone has 100"):
        decode_header(encode_header(HEADER)[:length], name="slot 9")
