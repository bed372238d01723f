"""One call to an actor, and its answer: what the link, Ray and the test kit hand to an activation.

An answer arrives exactly once, through `reply` or `fail`, on the event loop of the host, possibly before `submit`
returns. Nothing here knows how a call travelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from storage.errors import HoldfastError


class Op(StrEnum):
    """What an activation can be asked."""

    SQL = "sql"  # body: JSON of POST …/sql; args: durability, idempotency_key, shape
    SQL_STREAM = "sql_stream"  # the same, answered as JSON lines from a consistent copy; reads only
    STATUS = "status"
    DURABLE = "durable"  # args: bookmark, level, timeout_s
    FLUSH = "flush"
    EXPORT = "export"  # answered as a stream of bytes
    IMPORT = "import"  # takes a stream of bytes; args: replace
    RELEASE = "release"  # flush, write RELEASE, end


# Read-only calls may be sent again after a broken connection without an idempotency key.
SAFE_OPS = frozenset({Op.STATUS, Op.DURABLE, Op.FLUSH, Op.EXPORT, Op.SQL_STREAM, Op.RELEASE})


class Durability(StrEnum):
    """Level at which a write is acknowledged (README, "Promises"), weakest first."""

    MEMORY = "memory"
    LOCAL = "local"
    R2 = "r2"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer (`body`) or a stream of chunks (`stream`, consumed once, closed with `aclose`)."""

    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Call:
    """A request on its way through an activation. `stream` carries a large request body. `abandoned` turns true when
    nobody waits for the answer any more: what did not run yet may be left undone."""

    op: Op
    args: Mapping[str, object]
    body: bytes
    reply: Callable[[Reply], None]
    fail: Callable[[HoldfastError], None]
    stream: AsyncIterator[bytes] | None = None
    abandoned: bool = False
