"""The index behind the pages (damage: test_segment.py)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from storage.log.page_index import decode_index, encode_index


@given(st.lists(st.tuples(st.integers(1, 1 << 32), st.integers(7, 300)), max_size=50))
def test_an_index_survives_the_round_trip(frames: list[tuple[int, int]]) -> None:
    offset, spans = 100, []
    for number, length in frames:
        spans.append((number, offset, length))
        offset += length
    body = bytes(offset + 6) + encode_index(spans)
    assert decode_index(body, len(body), name="segment") == (spans, offset)


def test_golden_index() -> None:
    assert encode_index([]).hex() == "00" + "0000000000000001"
    assert encode_index([(3, 100, 42), (300, 142, 128)]).hex() == "03642a" + "ac028e018001" + "00" + "000000000000000a"
