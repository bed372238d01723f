"""One SQL request as a turn of an actor: decode, run as one transaction, encode the answer.

Runs on the event loop within a budget first; what needs longer is rolled back and run again in a thread, where it may
take its deadline. Knows nothing of gates and logs: it is told the bookmarks that its answer may carry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from actors.call import Durability
from actors.database.answer import Shape, decode_shape, encode_answer
from actors.database.database import Database
from actors.database.request import decode_request
from actors.database.statement import Batch, BatchResult
from actors.database.system import SystemSql
from actors.model.idempotency import IdempotencyKey
from actors.settings import ActorSettings
from storage.errors import HoldfastError, InvalidRequest

IDEMPOTENCY_KEY_CHARS_MAX = 255


@dataclass(frozen=True, slots=True)
class Scene:
    """What a turn is told of the world: Unix time, and the bookmark after it (`bookmark(wrote)`)."""

    now: float
    idempotency_ttl_s: float
    bookmark: Callable[[bool], str | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer's bytes; `replayed`: an earlier run's."""

    body: bytes
    replayed: bool

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Idempotent-Replay": "true"} if self.replayed else {}


@dataclass(frozen=True, slots=True)
class SqlTurn:
    """A decoded request. `level` is what its reply waits for."""

    batch: Batch
    level: Durability
    shape: Shape
    key: IdempotencyKey | None

    @classmethod
    def decode(cls, args: Mapping[str, object], body: bytes, settings: ActorSettings) -> SqlTurn:
        """From a call's arguments and body. Raises InvalidRequest."""
        shape = decode_shape(args.get("shape"))
        key = args.get("idempotency_key")
        if key is not None and (not isinstance(key, str) or not 0 < len(key) <= IDEMPOTENCY_KEY_CHARS_MAX):
            raise InvalidRequest(f"idempotency key: expected 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters")
        return cls(
            batch=decode_request(body, settings.database),
            level=durability_of(args, settings.durability),
            shape=shape,
            key=IdempotencyKey.of(key, body, shape) if isinstance(key, str) else None,
        )

    def run(self, database: Database, scene: Scene, *, budget_s: float | None) -> Answer:
        """Run the batch, or recall what an earlier run with the same key answered. Raises BudgetExceeded and
        DatabaseErrors, with nothing kept."""
        if self.key is None:
            result = database.execute(self.batch, budget_s=budget_s)
            return Answer(self._encode(result, scene.bookmark(not result.readonly)), replayed=False)
        key, now, ttl_s = self.key, scene.now, scene.idempotency_ttl_s
        remembered = database.system(lambda system: key.recall(system, now=now, ttl_s=ttl_s))
        if remembered is not None:
            return Answer(remembered, replayed=True)
        replies: list[bytes] = []

        def remember(system: SystemSql, result: BatchResult) -> None:
            replies.append(self._encode(result, scene.bookmark(True)))
            key.remember(system, replies[0], now=now, ttl_s=ttl_s)

        database.execute(self.batch, budget_s=budget_s, extra=remember)
        return Answer(replies[0], replayed=False)

    def _encode(self, result: BatchResult, bookmark: str | None) -> bytes:
        return encode_answer(result, bookmark=bookmark, durability=self.level.value, shape=self.shape)


def veto_of(refusal: HoldfastError | None) -> Callable[[], None] | None:
    """What SQLite calls where it is about to commit: the write fails with `refusal`, reads go on."""
    if refusal is None:
        return None

    def veto() -> None:
        raise refusal

    return veto


def durability_of(args: Mapping[str, object], default: Durability) -> Durability:
    """The level that a call asks for. Raises InvalidRequest."""
    level = args.get("durability")
    if level is None:
        return default
    try:
        return Durability(str(level))
    except ValueError as error:
        names = ", ".join(each.value for each in Durability)
        raise InvalidRequest(f"durability {level!r}: expected one of {names}") from error
