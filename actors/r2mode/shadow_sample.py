"""Which reads of r2 mode are run a second time, for comparison. Pure.

A share of all reads, by a seeded hash of the read's number: raising the share only adds numbers. A text that asks for
chance or for the time is left out, since no two runs of it need to agree.
"""

from __future__ import annotations

import hashlib
import re

from actors.database.statement import Batch

_UNREPEATABLE = re.compile(
    r"\b(?:random|randomblob|date|time|datetime|julianday|strftime|unixepoch|timediff)\s*\("
    r"|\bcurrent_(?:date|time|timestamp)\b",
    re.IGNORECASE,
)
_ALL = 1 << 64


def is_sampled(number: int, *, seed: int, share: float) -> bool:
    """Whether the read with this number belongs to the share (0 to 1)."""
    digest = hashlib.blake2b(b"%d:%d" % (seed, number), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * _ALL


def is_repeatable(batch: Batch) -> bool:
    """Whether the same bytes must give the same answer again."""
    return not any(_UNREPEATABLE.search(statement.sql) for statement in batch.statements)
