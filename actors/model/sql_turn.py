"""One SQL request as a turn of an actor: decode, run as one transaction, encode the answer.

Runs on the event loop within a budget first; what needs longer is rolled back and run again in a thread, where it may
take its deadline. Knows nothing of gates and logs: it is told the bookmarks that its answer may carry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from actors.call import Durability
from actors.database.answer import encode_answer
from actors.database.database import Database
from actors.database.request import decode_request
from actors.database.statement import Batch, StatementResult
from actors.database.system import SystemSql
from actors.model.idempotency import IdempotencyKey
from storage.errors import InvalidRequest

IDEMPOTENCY_KEY_CHARS_MAX = 255
SHAPES = ("arrays", "objects")


@dataclass(frozen=True, slots=True)
class SqlTurn:
    """A decoded request. `level` is what its reply waits for."""

    batch: Batch
    level: Durability
    shape: str
    key: IdempotencyKey | None

    @classmethod
    def decode(cls, args: Mapping[str, object], body: bytes, *, default: Durability) -> SqlTurn:
        """From a call's arguments and body. Raises InvalidRequest."""
        shape = args.get("shape", "arrays")
        if shape not in SHAPES:
            raise InvalidRequest(f"shape {shape!r}: expected one of {', '.join(SHAPES)}")
        key = args.get("idempotency_key")
        if key is not None and (not isinstance(key, str) or not 0 < len(key) <= IDEMPOTENCY_KEY_CHARS_MAX):
            raise InvalidRequest(f"idempotency key: expected 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters")
        return cls(
            batch=decode_request(body),
            level=durability_of(args, default),
            shape=str(shape),
            key=IdempotencyKey.of(key, body, str(shape)) if isinstance(key, str) else None,
        )

    def recall(self, database: Database, *, now: float, ttl_s: float) -> bytes | None:
        """The answer of an earlier run with the same key, or None."""
        key = self.key
        if key is None:
            return None
        return database.system(lambda system: key.recall(system, now=now, ttl_s=ttl_s))

    def run(
        self,
        database: Database,
        *,
        budget_s: float | None,
        bookmark: Callable[[bool], str],
        now: float,
        ttl_s: float,
    ) -> bytes:
        """Run the batch; the answer's bytes. `bookmark(wrote)` is the position after it. Raises BudgetExceeded and
        DatabaseErrors, with nothing kept."""
        if self.key is None:
            result = database.execute(self.batch, budget_s=budget_s)
            return self._encode(result.results, bookmark(not result.readonly))
        key = self.key
        replies: list[bytes] = []

        def remember(system: SystemSql, results: list[StatementResult]) -> None:
            replies.append(self._encode(results, bookmark(True)))
            key.remember(system, replies[0], now=now, ttl_s=ttl_s)

        database.execute(self.batch, budget_s=budget_s, extra=remember)
        return replies[0]

    def _encode(self, results: list[StatementResult], bookmark: str) -> bytes:
        return encode_answer(results, bookmark=bookmark, durability=self.level.value, shape=self.shape)


def durability_of(args: Mapping[str, object], default: Durability) -> Durability:
    """The level that a call asks for. Raises InvalidRequest."""
    level = args.get("durability")
    if level is None:
        return default
    try:
        return Durability(level)
    except ValueError as error:
        names = ", ".join(each.value for each in Durability)
        raise InvalidRequest(f"durability {level!r}: expected one of {names}") from error
