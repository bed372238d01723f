"""Bytes of a journal: one record per commit. Pure.

    offset size field (big-endian)
    0      3    magic "HFJ"
    3      1    version (1)
    4      4    length of the payload in bytes
    8      8    CRC-64/GO-ISO of the payload
    16     …    payload: claim-id 16 · epoch 8 · commit number 8 · page size 4 · page count of the database 4 ·
                pages 4, then per page:
                page number 4 · stored length 4 · bytes (an LZ4 block where that is shorter than the page)

A journal file is overwritten from its start again and again. Records of an earlier pass may follow the newest one;
they are told apart by their commit number, which never repeats and here always grows by one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import fastcrc
import lz4.block

from actors.database.image import CommitPages
from storage.errors import CorruptObject, UnsupportedVersion

MAGIC = b"HFJ"
VERSION = 1
_PRELUDE = struct.Struct(">3sBIQ")
_HEAD = struct.Struct(">16sQQIII")
_PAGE = struct.Struct(">II")
RECORD_BYTES_MAX = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One commit as the journal holds it. `claim_id` is hex."""

    claim_id: str
    epoch: int
    number: int
    pages: CommitPages


def encode_record(record: JournalRecord) -> bytes:
    """The record's bytes."""
    pages = record.pages
    claim = bytes.fromhex(record.claim_id)
    page_size = len(pages.pages[0][1]) if pages.pages else 0
    parts = [_HEAD.pack(claim, record.epoch, record.number, page_size, pages.page_count, len(pages.pages))]
    for number, page in pages.pages:
        packed = lz4.block.compress(page, store_size=False)
        stored = packed if len(packed) < len(page) else page
        parts.append(_PAGE.pack(number, len(stored)))
        parts.append(stored)
    payload = b"".join(parts)
    return _PRELUDE.pack(MAGIC, VERSION, len(payload), fastcrc.crc64.go_iso(payload)) + payload


def decode_records(data: bytes) -> Iterator[JournalRecord]:
    """Whole records from the start of `data`, up to the first byte that is not one: a torn or older record ends it.

    Raises UnsupportedVersion for an intact record of a newer version, which must not be mistaken for a torn one.
    """
    offset = 0
    last = None
    while len(data) - offset >= _PRELUDE.size:
        magic, version, length, checksum = _PRELUDE.unpack_from(data, offset)
        payload = data[offset + _PRELUDE.size : offset + _PRELUDE.size + length]
        if magic != MAGIC or len(payload) != length or fastcrc.crc64.go_iso(payload) != checksum:
            return
        if version < VERSION:
            return  # nothing was ever written so
        if version > VERSION:
            raise UnsupportedVersion(f"journal record of version {version}, this program reads up to {VERSION}")
        record = _decode_payload(payload)
        if last is not None and (record.claim_id, record.number) != (last.claim_id, last.number + 1):
            return
        yield record
        last = record
        offset += _PRELUDE.size + length


def _decode_payload(payload: bytes) -> JournalRecord:
    try:
        claim, epoch, number, page_size, page_count, count = _HEAD.unpack_from(payload)
        offset = _HEAD.size
        pages = []
        for _ in range(count):
            page_number, length = _PAGE.unpack_from(payload, offset)
            offset += _PAGE.size
            stored = payload[offset : offset + length]
            offset += length
            page = stored if length == page_size else lz4.block.decompress(stored, uncompressed_size=page_size)
            pages.append((page_number, page))
    except (struct.error, lz4.block.LZ4BlockError) as error:
        raise CorruptObject(f"journal record with a right checksum and wrong content: {error}") from error
    return JournalRecord(claim.hex(), epoch, number, CommitPages(page_count, tuple(pages)))
