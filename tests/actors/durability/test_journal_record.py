"""Bytes of a journal: what was written is read, and nothing else ever is."""

from __future__ import annotations

import hashlib
import struct

import fastcrc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.database.image import CommitPages
from actors.durability.journal_record import JournalRecord, decode_records, encode_record
from storage.errors import CorruptObject, UnsupportedVersion
from tests.actors.kit import pages

CLAIM = "0123456789abcdef" * 2


def a_journal_record(number: int = 7, *, claim_id: str = CLAIM, content: CommitPages | None = None) -> JournalRecord:
    return JournalRecord(claim_id, 3, number, content or pages(1, 3, mark=number))


def decoded(data: bytes) -> list[JournalRecord]:
    return list(decode_records(data))


NOISE = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(16))
"""A page that LZ4 cannot make smaller."""


@st.composite
def any_records(draw: st.DrawFn) -> list[JournalRecord]:
    """A run as one claim writes it: numbers that grow by one."""
    claim = draw(st.binary(min_size=16, max_size=16)).hex()
    epoch, first = draw(st.integers(1, 1 << 40)), draw(st.integers(1, 1 << 50))
    page_size = draw(st.sampled_from([512, 1024]))
    page = st.binary(max_size=64).map(lambda head: head.ljust(page_size, b"\0")) | st.randoms(
        use_true_random=False
    ).map(lambda rng: rng.randbytes(page_size))
    run = []
    for index in range(draw(st.integers(1, 4))):
        numbers = sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=4)))
        content = CommitPages(9, tuple((number, draw(page)) for number in numbers))
        run.append(JournalRecord(claim, epoch, first + index, content))
    return run


@given(any_records())
def test_a_run_of_records_survives_its_bytes(run: list[JournalRecord]) -> None:
    assert decoded(b"".join(encode_record(record) for record in run)) == run


def test_golden_bytes_of_one_record() -> None:
    """Journals of earlier versions must stay readable: these bytes may never change their meaning."""
    record = JournalRecord(CLAIM, 3, 258, CommitPages(2, ((1, bytes(512)), (2, NOISE))))
    packed = bytes.fromhex("1f000100ffe8500000000000")
    payload = (
        bytes.fromhex(CLAIM)
        + (3).to_bytes(8)
        + (258).to_bytes(8)
        + (512).to_bytes(4)
        + (2).to_bytes(4)
        + (2).to_bytes(4)
        + (1).to_bytes(4)
        + len(packed).to_bytes(4)
        + packed
        + (2).to_bytes(4)
        + (512).to_bytes(4)
        + NOISE
    )
    golden = b"HFJ\x01" + len(payload).to_bytes(4) + bytes.fromhex(GOLDEN_CHECKSUM) + payload
    assert decoded(golden) == [record]
    assert encode_record(record) == golden


GOLDEN_CHECKSUM = "6cbbebedda178a45"


def test_every_truncation_ends_the_run_before_the_torn_record() -> None:
    first, second = encode_record(a_journal_record(7)), encode_record(a_journal_record(8))
    data = first + second
    for length in range(len(data)):
        found = [record.number for record in decoded(data[:length])]
        assert found == ([7] if length >= len(first) else []), f"{length} bytes"


def test_every_flipped_bit_ends_the_run_or_stops_with_an_error() -> None:
    first, second = encode_record(a_journal_record(7)), encode_record(a_journal_record(8))
    for bit in range(8 * len(second)):
        data = bytearray(first + second)
        data[len(first) + bit // 8] ^= 1 << bit % 8
        try:
            found = [record.number for record in decoded(bytes(data))]
        except UnsupportedVersion:
            assert bit // 8 == 3, f"bit {bit}: only the version byte may look newer"
            continue
        assert found == [7], f"bit {bit}"


@pytest.mark.parametrize("zeros", [1, 16, 4096])
def test_zeros_behind_a_record_are_free_space(zeros: int) -> None:
    assert len(decoded(encode_record(a_journal_record()) + bytes(zeros))) == 1
    assert decoded(bytes(zeros)) == []


@pytest.mark.parametrize("stale", [3, 7, 9, 100])
def test_a_record_of_an_earlier_pass_ends_the_run(stale: int) -> None:
    data = encode_record(a_journal_record(7)) + encode_record(a_journal_record(stale))
    assert [record.number for record in decoded(data)] == [7]


def test_a_record_of_another_claim_ends_the_run_even_with_the_next_number() -> None:
    data = encode_record(a_journal_record(7)) + encode_record(a_journal_record(8, claim_id="f" * 32))
    assert [record.number for record in decoded(data)] == [7]


def test_a_newer_version_is_refused_and_not_taken_for_torn() -> None:
    data = bytearray(encode_record(a_journal_record()))
    data[3] = 2
    with pytest.raises(UnsupportedVersion, match="version 2, this program reads up to 1"):
        decoded(bytes(data))


def test_a_torn_record_that_looks_newer_is_torn() -> None:
    data = bytearray(encode_record(a_journal_record()))
    data[3], data[-1] = 2, data[-1] ^ 1
    assert decoded(bytes(data)) == []


def test_a_record_with_a_right_checksum_and_wrong_content_is_an_error() -> None:
    payload = bytes.fromhex(CLAIM) + struct.pack(">QQIII", 3, 7, 512, 1, 9)
    prelude = struct.pack(">3sBIQ", b"HFJ", 1, len(payload), fastcrc.crc64.go_iso(payload))
    with pytest.raises(CorruptObject, match="wrong content"):
        decoded(prelude + payload)


def test_pages_that_compress_are_stored_small_and_others_as_they_are() -> None:
    small = encode_record(a_journal_record(content=CommitPages(1, ((1, bytes(4096)),))))
    assert len(small) < 120
    as_is = encode_record(a_journal_record(content=CommitPages(1, ((1, NOISE),))))
    assert NOISE in as_is and decoded(as_is)[0].pages.pages == ((1, NOISE),)
