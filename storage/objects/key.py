"""What may be a key, a prefix, metadata and a condition: the same for every store. Pure.

A key that one adapter takes, every adapter takes, so that a directory can be copied into a bucket and back; hence the
narrow rules: parts that are file names, metadata that survives HTTP headers (SeaweedFS drops an empty value), bounds
that AWS S3 and R2 both allow.
Names that begin with `.holdfast` belong to the local store itself (sidecars, locks) and are nobody's keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from storage.errors import InvalidRequest

KEY_BYTES_MAX = 1024
PART_BYTES_MAX = 255
METADATA_BYTES_MAX = 2048
LIST_LIMIT_MAX = 1000
RESERVED_NAME_PREFIX = ".holdfast"

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")  # XML listings cannot carry the one, servers take the other for a slash
_METADATA_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")
_METADATA_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?\Z")


def check_key(key: str) -> str:
    """`key` if it may name an object, else `InvalidRequest` saying why."""
    if problem := key_problem(key):
        raise InvalidRequest(f"object key {key[:200]!r}: {problem}")
    return key


def key_problem(key: str) -> str | None:
    """Why `key` cannot name an object, or None."""
    if not key:
        return "empty"
    for part in key.split("/"):
        if problem := _part_problem(part):
            return problem
    return _text_problem(key)


def check_prefix(prefix: str) -> str:
    """`prefix` if keys can begin with it, else `InvalidRequest`. The last part may be the beginning of a name."""
    *folders, _ = prefix.split("/")
    problem = next((found for part in folders if (found := _part_problem(part))), None) or _text_problem(prefix)
    if problem:
        raise InvalidRequest(f"object key prefix {prefix[:200]!r}: {problem}")
    return prefix


def check_start_after(start_after: str) -> str:
    """`start_after` if keys can be compared with it, else `InvalidRequest`. It need not be a key."""
    if problem := _text_problem(start_after):
        raise InvalidRequest(f"listing after {start_after[:200]!r}: {problem}")
    return start_after


def check_limit(limit: int) -> int:
    """`limit` if a listing page may hold that many keys."""
    if not 1 <= limit <= LIST_LIMIT_MAX:
        raise InvalidRequest(f"listing limit is {limit}, expected 1 to {LIST_LIMIT_MAX}")
    return limit


def check_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """A copy of `metadata` if every store keeps it unchanged, else `InvalidRequest`."""
    checked = dict(metadata or {})
    for name, value in checked.items():
        if not _METADATA_KEY.match(name):
            raise InvalidRequest(
                f"metadata key {name[:200]!r}: expected lower-case ASCII letters, digits, '.', '_', '-'"
            )
        if not _METADATA_VALUE.match(value):
            raise InvalidRequest(
                f"metadata value of {name!r}: expected printable ASCII, not empty, no spaces at its ends"
            )
    size = sum(len(name) + len(value) for name, value in checked.items())
    if size > METADATA_BYTES_MAX:
        raise InvalidRequest(f"metadata has {size} bytes, at most {METADATA_BYTES_MAX} are kept")
    return checked


def check_conditions(if_none_match: str | None, if_match: str | None) -> None:
    """At most one condition, in a form that stores understand, else `InvalidRequest`."""
    if if_none_match is not None and if_match is not None:
        raise InvalidRequest("a put has if_none_match and if_match, expected at most one condition")
    if if_none_match not in (None, "*"):
        raise InvalidRequest(f"if_none_match is {if_none_match!r}, expected '*'")
    if if_match is not None and (not if_match or '"' in if_match or if_match == "*"):
        raise InvalidRequest(f"if_match is {if_match!r}, expected an etag without quotes")


def _part_problem(part: str) -> str | None:
    if part in ("", ".", ".."):
        return f"has the part {part!r}"
    if part.startswith(RESERVED_NAME_PREFIX):
        return f"has the part {part!r}, names beginning with {RESERVED_NAME_PREFIX!r} are reserved"
    if len(part.encode(errors="replace")) > PART_BYTES_MAX:
        return f"has a part longer than {PART_BYTES_MAX} bytes"
    return None


def _text_problem(text: str) -> str | None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if size > KEY_BYTES_MAX:
        return f"has {size} bytes, at most {KEY_BYTES_MAX} are allowed"
    return "has a control character or a backslash" if _UNSAFE.search(text) else None
