"""Idempotency keys: the answer to a write is remembered with the write, in its transaction, for a day."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from actors.database.system import SystemSql
from actors.errors import IdempotencyKeyReused, ResultTooLarge

REPLY_BYTES_MAX = 1 << 20
FORGET_ROWS_MAX = 16


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key and a digest of the request it came with."""

    key: str
    digest: str

    @classmethod
    def of(cls, key: str, body: bytes, shape: str) -> IdempotencyKey:
        """The key of one request. Two requests are the same if their bodies and shapes are."""
        return cls(key, hashlib.sha256(shape.encode() + b"\0" + body).hexdigest())

    def recall(self, system: SystemSql, *, now: float, ttl_s: float) -> bytes | None:
        """The remembered answer, or None. Raises IdempotencyKeyReused if the request was another one."""
        rows = system.execute("SELECT digest, at, reply FROM _cf_idempotency WHERE key = ?", (self.key,))
        if not rows or float(rows[0][1]) < now - ttl_s:  # type: ignore[arg-type]
            return None
        if rows[0][0] != self.digest:
            raise IdempotencyKeyReused(f"idempotency key {self.key[:80]!r} was used with another request")
        reply = rows[0][2]
        assert isinstance(reply, bytes)
        return reply

    def remember(self, system: SystemSql, body: bytes, *, now: float, ttl_s: float) -> None:
        """Write the answer beside what the request wrote, and forget a few that are over."""
        if len(body) > REPLY_BYTES_MAX:
            raise ResultTooLarge(f"an answer of {len(body)} bytes cannot be remembered, at most {REPLY_BYTES_MAX}")
        system.execute(
            "DELETE FROM _cf_idempotency WHERE key IN (SELECT key FROM _cf_idempotency WHERE at < ? LIMIT ?)",
            (now - ttl_s, FORGET_ROWS_MAX),
        )
        system.execute(
            "INSERT OR REPLACE INTO _cf_idempotency (key, digest, at, reply) VALUES (?, ?, ?, ?)",
            (self.key, self.digest, now, body),
        )
