"""The MD5 that names an object's content (its ETag), and the check of a body against it. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from storage.errors import CorruptObject

_PLAIN_ETAG = re.compile(r"[0-9a-f]{32}\Z")


def new_md5() -> Any:
    """A running MD5 (`update`, `hexdigest`); a checksum here, not a protection against people."""
    return hashlib.md5(usedforsecurity=False)


def md5_hex(body: bytes) -> str:
    """MD5 of `body`: the ETag of a simple put."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def is_plain(etag: str) -> bool:
    """Whether `etag` is the MD5 of the body; that of a multipart upload is not."""
    return _PLAIN_ETAG.match(etag) is not None


def check_body(key: str, etag: str, found: str) -> None:
    """Raise `CorruptObject` when `found`, the MD5 of what was read, is not what a plain `etag` promises."""
    if is_plain(etag) and found != etag:
        raise CorruptObject(f"object {key}: its bytes have MD5 {found}, its etag promises {etag}")
