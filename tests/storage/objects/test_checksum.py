"""MD5 as ETag."""

from __future__ import annotations

import pytest

from storage.errors import CorruptObject
from storage.objects.checksum import check_body, is_plain, md5_hex, new_md5

EMPTY = "d41d8cd98f00b204e9800998ecf8427e"


def test_an_etag_is_the_md5_in_hex() -> None:
    running = new_md5()
    running.update(b"bo")
    running.update(b"dy")
    assert md5_hex(b"") == EMPTY
    assert running.hexdigest() == md5_hex(b"body")


def test_only_a_plain_etag_promises_the_md5_of_the_body() -> None:
    assert is_plain(EMPTY)
    assert not is_plain(f"{EMPTY}-2")
    check_body("a", EMPTY, EMPTY)
    check_body("a", f"{EMPTY}-2", md5_hex(b"x"))
    with pytest.raises(CorruptObject, match=f"object a: its bytes have MD5 {md5_hex(b'x')}"):
        check_body("a", EMPTY, md5_hex(b"x"))
