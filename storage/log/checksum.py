"""CRC-64/GO-ISO, the checksum of an LTX file, and MD5, the checksum of the object around it. Pure.

The CRC covers headers, uncompressed pages and the index, not the compressed bytes: two different LZ4 blocks of one page
have the same CRC. What the CRC cannot see changes no content, and the object's MD5 (its ETag) still sees it.
"""

from __future__ import annotations

import hashlib
import re

import fastcrc

from storage.errors import CorruptSegment

CHECKSUM_FLAG = 1 << 63
"""Set in every stored checksum, so that zero means "none"."""

_PLAIN_MD5 = re.compile(r'"?([0-9a-f]{32})"?\Z')


def crc64(data: bytes, initial: int | None = None) -> int:
    """CRC-64/GO-ISO of `data`, going on from `initial` where given."""
    return fastcrc.crc64.go_iso(data, initial)


def verify_body(body: bytes, etag: str, *, name: str = "segment") -> bool:
    """Compare a downloaded body with its object's ETag; `CorruptSegment` when they differ.

    False, nothing compared, when the ETag is not a plain MD5 (a multipart upload's, an encrypted object's).
    """
    match = _PLAIN_MD5.match(etag)
    if match is None:
        return False
    found = hashlib.md5(body, usedforsecurity=False).hexdigest()
    if found != match[1]:
        raise CorruptSegment(f"{name}: md5 of the {len(body)} bytes is {found}, the object's etag says {match[1]}")
    return True
