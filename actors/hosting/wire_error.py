"""Errors on their way over a link: a HoldfastError goes in, the same class with the same fields comes out.

A code that this side does not know (a newer host's) becomes a plain HoldfastError that carries it. Messages and details
are cut to what a frame may hold, never refused: an error that cannot be told is worse than a short one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import msgspec

import actors.errors as _actor_errors  # the whole tree has to be loaded before it is walked
from actors.hosting.frame import ErrorHead
from storage.errors import HoldfastError

MESSAGE_CHARACTERS_MAX = 4000
DETAILS_BYTES_MAX = 32 << 10
_TREES = {"actors.errors": 0, "storage.errors": 1}


def error_to_head(error: HoldfastError) -> ErrorHead:
    """What the ERROR frame says of `error`."""
    details = error.details
    try:
        if len(msgspec.msgpack.encode(details)) > DETAILS_BYTES_MAX:
            details = {"details": "too large for the link"}
    except (TypeError, ValueError, OverflowError):
        details = {key: str(value)[:1000] for key, value in list(details.items())[:16]}
    return ErrorHead(
        error.code, error.message[:MESSAGE_CHARACTERS_MAX], error.retryable, error.retry_after_s, dict(details)
    )


def error_from_head(head: ErrorHead) -> HoldfastError:
    """The error as its class, for `raise` and for `isinstance`."""
    kind = _classes().get(head.code, HoldfastError)
    error = kind.__new__(kind, head.message)
    HoldfastError.__init__(error, head.message, retry_after_s=head.retry_after_s, details=head.details)
    if error.code != head.code:
        error.code = head.code
    if error.retryable != head.retryable:
        error.retryable = head.retryable
    return error


@cache
def _classes() -> dict[str, type[HoldfastError]]:
    """Every class of the error tree that names a code of its own. Imported late classes are not found; bases are.

    Where other rooms use a code of the actors' tree for errors of their own, the actors' class counts: links carry
    what actors answered.
    """
    found: dict[str, type[HoldfastError]] = {}
    assert _actor_errors.ActorError in HoldfastError.__subclasses__()
    for kind in sorted(_tree(HoldfastError), key=lambda each: _TREES.get(each.__module__, len(_TREES))):
        if "code" in kind.__dict__:
            found.setdefault(kind.code, kind)
    return found


def _tree(kind: type[HoldfastError]) -> Iterator[type[HoldfastError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)
