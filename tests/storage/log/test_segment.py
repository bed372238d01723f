"""The codec of segments: golden bytes, a second writer, and damage of every kind."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import CorruptSegment, UnsupportedVersion
from storage.log.page import lock_page
from storage.log.segment import (
    SEGMENT_BYTES_MIN,
    Segment,
    decode_header,
    decode_segment,
    encode_segment,
    segment_flaw,
    verify_body,
)
from tests.storage.log.plain_ltx import PlainLtx, frame, literal
from tests.storage.log.segments import a_full_segment, a_page, a_segment, any_segments

GOLDEN_CLAIM = Segment(5, 5, 4096, 10, (), 7, 1_700_000_000_123)
GOLDEN_CLAIM_HEX = (
    "4c54583100000002000010000000000a000000000000000500000000000000050000018bcfe5687b00000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000070000000000000000000000000000000000000000"
    "0000000000000000000000000000010000000000000000a0ca0738bd75277c"
)
GOLDEN_PAGE = Segment(2, 2, 512, 3, ((3, b"holdfast" * 64),), 1, 1_700_000_000_000)
GOLDEN_PAGE_HEX = (
    "4c545831000000020000020000000003000000000000000200000000000000020000018bcfe5680000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000010000000000000000000000000000000000000000"
    "000000030001000000138f686f6c64666173740800ffe150646661737400000000000003641d000000000000000004000000"
    "00000000008b4a10db27ce72bc"
)

SAMPLE = a_segment(pages=((2, a_page(2)), (3, bytes(512)), (9, a_page(9))))
LTX_PAGES = [(2, a_page(2)), (9, a_page(9))]


def plain(segment: Segment, **changes: object) -> bytes:
    """`segment` by the second writer, with `changes` to single fields of the file."""
    fields: dict[str, object] = {name: getattr(segment, name) for name in Segment.__slots__}
    return PlainLtx(**(fields | changes)).encode()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("segment", "golden"), [(GOLDEN_CLAIM, GOLDEN_CLAIM_HEX), (GOLDEN_PAGE, GOLDEN_PAGE_HEX)], ids=["claim", "page"]
)
def test_golden_bytes_of_version_one_are_written_and_read(segment: Segment, golden: str) -> None:
    body = bytes.fromhex(golden)
    assert decode_segment(body) == segment
    assert encode_segment(segment) == body
    assert plain(segment) == body


@given(any_segments())
def test_any_segment_survives_the_round_trip(segment: Segment) -> None:
    body = encode_segment(segment)
    assert decode_segment(body) == segment
    assert decode_header(body[:100]) == segment.header
    assert segment_flaw(segment) is None


@settings(max_examples=25)
@given(any_segments())
def test_a_second_writer_gives_the_same_bytes(segment: Segment) -> None:
    assert plain(segment) == encode_segment(segment)


@settings(max_examples=25)
@given(any_segments())
def test_pages_in_other_blocks_or_in_frames_read_the_same(segment: Segment) -> None:
    assert decode_segment(plain(segment, compress=literal)) == segment
    assert decode_segment(plain(segment, compress=frame, page_flags=0)) == segment


@pytest.mark.parametrize("page_size", [512 << power for power in range(8)])
def test_every_page_size_round_trips(page_size: int) -> None:
    segment = a_full_segment(3, page_size=page_size)
    assert decode_segment(encode_segment(segment)) == segment


def test_a_segment_without_pages_is_the_smallest() -> None:
    body = encode_segment(a_segment(pages=()))
    assert len(body) == SEGMENT_BYTES_MIN == 131
    assert decode_segment(body).pages == ()


def test_a_page_that_does_not_compress_grows_by_little() -> None:
    noise = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(128))
    body = encode_segment(a_segment(page_size=4096, pages=((4, noise),)))
    assert decode_segment(body).pages == ((4, noise),)
    assert len(body) < 4096 + 180


def test_wal_fields_of_other_writers_are_ignored() -> None:
    assert decode_segment(plain(SAMPLE, wal=bytes(range(24)))) == SAMPLE


@pytest.mark.parametrize("form", ["block", "frame"])
def test_every_truncation_is_detected(form: str) -> None:
    body = encode_segment(SAMPLE) if form == "block" else plain(SAMPLE, compress=frame, page_flags=0)
    for length in range(len(body)):
        with pytest.raises(CorruptSegment):
            decode_segment(body[:length])
    assert decode_segment(body) == SAMPLE


@pytest.mark.parametrize("form", ["block", "frame"])
def test_every_flipped_bit_is_detected_by_the_codec_or_changes_nothing_and_is_seen_by_md5(form: str) -> None:
    body = encode_segment(SAMPLE) if form == "block" else plain(SAMPLE, compress=frame, page_flags=0)
    etag = hashlib.md5(body).hexdigest()
    assert verify_body(body, etag)
    unseen = 0
    for bit in range(8 * len(body)):
        damaged = bytearray(body)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            found = decode_segment(bytes(damaged))
        except (CorruptSegment, UnsupportedVersion):
            continue
        unseen += 1
        if bit // 8 in range(48, 72):  # WAL fields are covered by the checksum: they must not get here
            raise AssertionError(f"bit {bit} of the header went unnoticed")
        assert found == SAMPLE, f"bit {bit} changed the content unnoticed"
        with pytest.raises(CorruptSegment):
            verify_body(bytes(damaged), etag)
    assert unseen > 0, "the sample has no redundant bit: the md5 half of this test proved nothing"


@given(st.binary(max_size=600))
def test_noise_is_never_a_segment(noise: bytes) -> None:
    for body in (noise, b"LTX1" + noise, encode_segment(SAMPLE)[:100] + noise):
        with pytest.raises((CorruptSegment, UnsupportedVersion)):
            decode_segment(body)


BROKEN: dict[str, tuple[dict[str, object], str]] = {
    "pages out of order": ({"pages": LTX_PAGES[::-1]}, "page 2 after page 9"),
    "a page twice": ({"pages": [LTX_PAGES[0]] * 2}, "page 2 after page 2"),
    "a page beyond the page count": ({"page_count": 8}, "page 9 in a database of 8 pages"),
    "slot 1 without all pages": ({"first": 1, "last": 1}, "expected all 10"),
    "the lock page": ({"page_size": 65536, "page_count": 20000, "pages": [(16385, bytes(65536))]}, "lock page"),
    "a short page": ({"pages": [(2, bytes(511))]}, "inflates to 511 bytes, expected 512"),
    "a long page": ({"pages": [(2, bytes(513))]}, "does not inflate to 512 bytes"),
    "a long page in a frame": ({"pages": [(2, bytes(99999))], "compress": frame, "page_flags": 0}, "does not end"),
    "no data in a block": ({"pages": [(2, b"")], "compress": lambda page: b""}, "does not inflate"),
    "no LZ4 block": ({"compress": lambda page: b"\x0f\xff"}, "does not inflate"),
    "no LZ4 frame": ({"compress": literal, "page_flags": 0}, "does not inflate"),
    "page size 1000": ({"page_size": 1000}, "page size 1000"),
    "page size 256": ({"page_size": 256}, "page size 256"),
    "slot 0": ({"first": 0}, "slots 0 to 7"),
    "slots in reverse": ({"last": 6}, "slots 7 to 6"),
    "a timestamp before 1970": ({"timestamp_ms": 1 << 63}, "timestamp"),
    "a pre-apply checksum": ({"pre_apply": 1 << 63}, "pre-apply checksum"),
    "a post-apply checksum": ({"post_apply": 1 << 63}, "post-apply checksum"),
    "another end of the pages": ({"end_of_pages": bytes(5) + b"\1"}, "to end the pages"),
    "an index without a page": ({"index": [(2, 100, 0)]}, "index has page 2"),
    "an index that skips a page": ({"index": []}, "the frames in the index end at 100"),
    "an index that does not end": ({"index_tail": b""}, "three a page"),
    "an index that goes on": ({"index_tail": b"\0\0"}, "a zero at the end alone"),
    "an index too long for the file": ({"index_length": 1 << 40}, "index of"),
    "an empty index": ({"index_length": 0}, "index of 0 bytes"),
    "bytes behind the end": ({"behind": b"\0"}, "post-apply checksum"),
    "a whole segment behind the end": ({"behind": encode_segment(SAMPLE)}, "index"),
}


def test_an_index_that_names_another_page_is_refused() -> None:
    ltx = PlainLtx(pages=LTX_PAGES)
    ltx.encode()
    (_, offset, length), second = ltx.spans
    with pytest.raises(CorruptSegment, match="frame at 100 holds page 2, the index says 3"):
        decode_segment(PlainLtx(pages=LTX_PAGES, index=[(3, offset, length), second]).encode())
    with pytest.raises(CorruptSegment, match="expected at"):
        decode_segment(PlainLtx(pages=LTX_PAGES, index=[(2, offset, length + 1), second]).encode())
    with pytest.raises(CorruptSegment, match="states"):
        wider, later = (2, offset, length + 1), (9, second[1] + 1, second[2] - 1)
        decode_segment(PlainLtx(pages=LTX_PAGES, index=[wider, later]).encode())


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_refused_even_with_a_fitting_checksum(name: str) -> None:
    changes, message = BROKEN[name]
    body = plain(a_segment(), **changes)
    with pytest.raises(CorruptSegment, match=message) as caught:
        decode_segment(body, name="users/42/log/0000/7-7.ltx")
    assert caught.value.message.startswith("users/42/log/0000/7-7.ltx: ")


@pytest.mark.parametrize(
    "changes",
    [{"magic": b"LTX2"}, {"magic": b"LTX9"}, {"page_flags": 2}, {"page_flags": 0x8001}]
    + [{"flags": flags} for flags in (0, 1, 3, 6, 1 << 31 | 2)]
    + [{"reserved": bytes(i) + b"\1" + bytes(19 - i)} for i in (0, 7, 19)],
    ids=str,
)
def test_a_newer_format_is_refused_and_never_guessed(changes: dict[str, object]) -> None:
    with pytest.raises(UnsupportedVersion, match="this version"):
        decode_segment(plain(SAMPLE, **changes))


def test_another_kind_of_file_is_corrupt_and_not_newer() -> None:
    with pytest.raises(CorruptSegment, match="magic b'SQLi', expected b'LTX1'"):
        decode_segment(b"SQLite format 3\0" + bytes(600))


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (a_segment(pages=((9, a_page(9)), (2, a_page(2)))), "ascending"),
        (a_segment(pages=((0, a_page(0)),)), "ascending"),
        (a_segment(pages=((2, a_page(2)[:-1]),)), "page 2 has 511 bytes"),
        (a_segment(pages=((11, a_page(11)),)), "page 11 in a database of 10"),
        (a_segment(first=1), "expected all 10"),
        (a_segment(page_size=777, pages=()), "page size 777"),
        (a_segment(first=0), "slots 0"),
        (a_segment(first=5, last=4), "slots 5 to 4"),
        (a_segment(node_id=-1), "node id"),
        (a_segment(timestamp_ms=-1), "timestamp"),
        (a_segment(page_count=1 << 32, pages=()), "page count"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_flawed_segment_is_never_encoded(segment: Segment, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        encode_segment(segment)


def test_slot_one_holds_every_page_but_the_lock_page() -> None:
    page_size = 65536
    lock = lock_page(page_size)
    page = bytes(page_size)
    pages = tuple((number, page) for number in range(1, lock + 3) if number != lock)
    segment = Segment(1, 1, page_size, lock + 2, pages, 1, 0)
    assert segment_flaw(segment) is None
    with_lock = replace(segment, pages=(*pages[: lock - 1], (lock, page), *pages[lock - 1 :]))
    assert "lock page" in str(segment_flaw(with_lock))
    assert "expected all" in str(segment_flaw(replace(segment, pages=pages[:-1])))
    around = replace(segment, first=2, last=2, pages=((lock - 1, page), (lock + 1, page)))
    assert decode_segment(encode_segment(around)) == around
