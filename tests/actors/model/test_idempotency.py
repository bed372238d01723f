"""Idempotency keys: remembered in the write's own transaction, for a day, for one request only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from actors.database.database import Database
from actors.database.system import SystemSql
from actors.errors import IdempotencyKeyReused, ResultTooLarge
from actors.model import idempotency
from actors.model.birth import template_image
from actors.model.idempotency import FORGET_ROWS_MAX, REPLY_BYTES_MAX, IdempotencyKey
from actors.settings import DatabaseSettings

T = TypeVar("T")
DAY = 86_400.0
KEY = IdempotencyKey.of("k", b"body", "arrays")


class Memory:
    """A database and what it remembers."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def run(self, work: Callable[[SystemSql], T]) -> T:
        return self.database.system(work)

    def recall(self, key: IdempotencyKey = KEY, now: float = 100.0) -> bytes | None:
        return self.run(lambda system: key.recall(system, now=now, ttl_s=DAY))

    def remember(self, reply: bytes, key: IdempotencyKey = KEY, now: float = 100.0) -> None:
        self.run(lambda system: key.remember(system, reply, now=now, ttl_s=DAY))

    def count(self) -> int:
        rows = self.run(lambda system: system.execute("SELECT count(*) FROM _cf_idempotency"))
        return int(str(rows[0][0]))


@pytest.fixture
def memory() -> Iterator[Memory]:
    settings = DatabaseSettings()
    database = Database.open(template_image(settings).copy(), settings)
    yield Memory(database)
    database.close()


def test_an_unknown_key_has_no_answer(memory: Memory) -> None:
    assert memory.recall() is None


def test_an_answer_is_remembered_byte_for_byte(memory: Memory) -> None:
    memory.remember(b'{"results":[]}\x00\xff')
    assert memory.recall() == b'{"results":[]}\x00\xff'


@pytest.mark.parametrize(
    "other",
    [IdempotencyKey.of("k", b"another body", "arrays"), IdempotencyKey.of("k", b"body", "objects")],
)
def test_a_key_used_with_another_request_is_refused(memory: Memory, other: IdempotencyKey) -> None:
    memory.remember(b"answer")
    with pytest.raises(IdempotencyKeyReused):
        memory.recall(other)


@pytest.mark.parametrize(("age_s", "known"), [(DAY, True), (DAY + 1, False)])
def test_an_answer_is_remembered_for_a_day(memory: Memory, age_s: float, known: bool) -> None:
    memory.remember(b"answer", now=100.0)
    assert (memory.recall(now=100.0 + age_s) is not None) is known


def test_an_old_key_may_be_used_again_for_another_request(memory: Memory) -> None:
    memory.remember(b"old", now=0.0)
    other = IdempotencyKey.of("k", b"another body", "arrays")
    memory.remember(b"new", other, now=2 * DAY)
    assert memory.recall(other, now=2 * DAY) == b"new" and memory.count() == 1


def test_what_is_over_is_forgotten_a_few_at_a_time(memory: Memory) -> None:
    for number in range(FORGET_ROWS_MAX + 5):
        memory.remember(b"old", IdempotencyKey.of(f"old {number}", b"", "arrays"), now=0.0)
    memory.remember(b"new", now=2 * DAY)
    assert memory.count() == 6
    memory.remember(b"new", now=2 * DAY)
    assert memory.count() == 1


def test_an_answer_too_large_to_remember_is_an_error(memory: Memory) -> None:
    with pytest.raises(ResultTooLarge):
        memory.remember(bytes(REPLY_BYTES_MAX + 1))
    memory.remember(bytes(REPLY_BYTES_MAX))
    assert idempotency.REPLY_BYTES_MAX == REPLY_BYTES_MAX


def test_two_requests_are_the_same_by_body_and_shape_alone() -> None:
    assert IdempotencyKey.of("k", b"body", "arrays") == KEY
    assert len({IdempotencyKey.of("k", *pair).digest for pair in ((b"ab", "c"), (b"b", "ca"), (b"", "cab"))}) == 3
