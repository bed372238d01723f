"""Frames of single pages: sizes and bounds (contents and damage: test_segment.py)."""

from __future__ import annotations

import pytest

from storage.errors import CorruptSegment
from storage.log.page_frame import decode_pages, encode_pages
from tests.storage.log.plain_ltx import frame
from tests.storage.log.segments import a_page


def test_spans_say_where_each_frame_lies() -> None:
    pages = [(1, a_page(1)), (5, bytes(512))]
    encoded = encode_pages(pages, offset=100, checksum=0)
    body = bytes(100) + b"".join(encoded.parts)
    assert [number for number, _, _ in encoded.spans] == [1, 5]
    assert sum(length for _, _, length in encoded.spans) == len(body) - 100
    found, checksum = decode_pages(body, encoded.spans, page_size=512, checksum=0, name="segment")
    assert (list(found), checksum) == (pages, encoded.checksum)


def test_a_page_never_inflates_beyond_the_page_size() -> None:
    bomb = frame(bytes(1 << 26))
    body = (2).to_bytes(4, "big") + bytes(2) + bomb
    with pytest.raises(CorruptSegment, match="does not end where the index says"):
        decode_pages(body, [(2, 0, len(body))], page_size=512, checksum=0, name="segment")
