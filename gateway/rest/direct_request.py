"""Is a request to `…/sql` a plain one, and what does it ask? Decided from its head alone. Pure.

Plain is what every client of an application sends: a path without escapes or query, a short body of a stated length,
each header once, nothing that asks for a special way. Everything else is no error here: None, and the long way
decides. So this may be stricter than the long way, and never laxer.
"""

from __future__ import annotations

import functools
import re

import msgspec

from gateway.rest.sql_args import sql_args
from gateway.rest.target import Target, parse_target
from storage.errors import InvalidRequest

TARGETS_REMEMBERED_MAX = 4096
LENGTH_DIGITS_MAX = 9
# Headers that make a request a special one: a body in pieces, a protocol to change to, a page in a browser.
_SPECIAL = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"origin", b"content-encoding", b"trailer", b"te"})
_PLAIN_PATH = re.compile(rb"/v1/[A-Za-z0-9._~/-]{1,1024}/sql\Z")
_NO_QUERY: dict[str, str] = {}


class DirectRequest(msgspec.Struct, frozen=True):
    """What a plain request asks: whose database by its path, headers by name, the call's arguments."""

    target: Target
    headers: dict[bytes, bytes]
    args: dict[str, object]


def direct_request(
    method: bytes,
    version: str,
    url: bytes,
    headers: list[tuple[bytes, bytes]],
    *,
    body_bytes_max: int,
    key_length_max: int,
) -> DirectRequest | None:
    """The request, or None when it has to go the long way. Header names are in lower case."""
    if method != b"POST" or version != "1.1" or not url.endswith(b"/sql"):
        return None
    target = _target_of(url)
    by_name = dict(headers)
    if target is None or len(by_name) != len(headers) or not _SPECIAL.isdisjoint(by_name):
        return None
    length = by_name.get(b"content-length", b"")
    if not length.isdigit() or len(length) > LENGTH_DIGITS_MAX or int(length) > body_bytes_max:
        return None
    try:
        args = sql_args(by_name, _NO_QUERY, key_length_max=key_length_max)
    except InvalidRequest:
        return None
    return DirectRequest(target, by_name, args)


@functools.lru_cache(maxsize=TARGETS_REMEMBERED_MAX)
def _target_of(url: bytes) -> Target | None:
    """The database that a plain path names; None for any other path."""
    if not _PLAIN_PATH.match(url):
        return None
    target = parse_target(url.decode("ascii"))
    return target if target is not None and target.operation == "sql" else None
