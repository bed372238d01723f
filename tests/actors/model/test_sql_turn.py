"""One SQL request as a turn: decoded, run as one transaction, answered; replayed where its key is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from actors.call import Durability
from actors.database.database import Database
from actors.errors import ConstraintFailed, IdempotencyKeyReused, JournalFull
from actors.model.birth import template_image
from actors.model.sql_turn import Answer, Scene, SqlTurn, durability_of, veto_of
from actors.settings import ActorSettings, DatabaseSettings
from storage.errors import InvalidRequest

SETTINGS = ActorSettings()


@pytest.fixture
def database() -> Iterator[Database]:
    settings = DatabaseSettings()
    made = Database.open(template_image(settings).copy(), settings)
    run(made, "CREATE TABLE notes (note TEXT UNIQUE)")
    made.take_commit()
    yield made
    made.close()


def a_turn(sql: str, *params: object, **args: object) -> SqlTurn:
    return SqlTurn.decode(args, msgspec.json.encode({"sql": sql, "params": list(params)}), SETTINGS)


def run(database: Database, sql: str, *params: object, now: float = 100.0, **args: object) -> Answer:
    scene = Scene(now, 86_400.0, lambda wrote: "after" if wrote else "as before")
    return a_turn(sql, *params, **args).run(database, scene, budget_s=None)


def body(answer: Answer) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(answer.body)
    return decoded


def test_the_answer_names_its_rows_level_and_bookmark(database: Database) -> None:
    answer = body(run(database, "SELECT 1 AS one", durability="r2"))
    assert answer["results"][0]["rows"] == [[1]] and answer["durability"] == "r2"
    assert answer["bookmark"] == "as before"


def test_a_writes_bookmark_is_the_one_after_it(database: Database) -> None:
    assert body(run(database, "INSERT INTO notes VALUES ('a')"))["bookmark"] == "after"
    assert database.take_commit() is not None


def test_a_write_that_changes_nothing_is_no_commit(database: Database) -> None:
    assert body(run(database, "DELETE FROM notes"))["bookmark"] == "as before"
    assert database.take_commit() is None


def test_a_key_makes_a_second_run_a_replay(database: Database) -> None:
    first = run(database, "INSERT INTO notes VALUES ('a')", idempotency_key="k")
    database.take_commit()
    again = run(database, "INSERT INTO notes VALUES ('a')", idempotency_key="k")
    assert (first.replayed, again.replayed) == (False, True) and again.body == first.body
    assert (dict(first.headers), dict(again.headers)) == ({}, {"Idempotent-Replay": "true"})
    assert database.take_commit() is None


def test_a_key_is_remembered_only_if_its_write_is(database: Database) -> None:
    run(database, "INSERT INTO notes VALUES ('a')")
    with pytest.raises(ConstraintFailed):
        run(database, "INSERT INTO notes VALUES ('a')", idempotency_key="k")
    run(database, "DELETE FROM notes")
    assert not run(database, "INSERT INTO notes VALUES ('a')", idempotency_key="k").replayed


def test_a_key_with_another_request_changes_nothing(database: Database) -> None:
    run(database, "INSERT INTO notes VALUES ('a')", idempotency_key="k")
    with pytest.raises(IdempotencyKeyReused):
        run(database, "INSERT INTO notes VALUES ('b')", idempotency_key="k")
    assert body(run(database, "SELECT note FROM notes"))["results"][0]["rows"] == [["a"]]


@pytest.mark.parametrize("key", ["", "x" * 256, 7, ["k"]])
def test_a_key_that_is_none_is_refused(key: object) -> None:
    with pytest.raises(InvalidRequest, match="idempotency key"):
        a_turn("SELECT 1", idempotency_key=key)


@pytest.mark.parametrize("level", ["always", "", 3, "LOCAL"])
def test_a_level_that_is_none_is_refused(level: object) -> None:
    with pytest.raises(InvalidRequest, match="memory, local, r2"):
        durability_of({"durability": level}, Durability.LOCAL)


def test_without_a_level_the_settings_decide() -> None:
    assert durability_of({}, Durability.R2) is Durability.R2
    assert durability_of({"durability": "memory"}, Durability.R2) is Durability.MEMORY


def test_a_refusal_meets_writes_where_they_would_commit_and_lets_reads_go_on(database: Database) -> None:
    assert veto_of(None) is None
    database.file.veto = veto_of(JournalFull("full"))
    assert body(run(database, "SELECT count(*) FROM notes"))["results"][0]["rows"] == [[0]]
    with pytest.raises(JournalFull):
        run(database, "INSERT INTO notes VALUES ('a')")
    database.file.veto = None
    assert body(run(database, "SELECT count(*) FROM notes"))["results"][0]["rows"] == [[0]]
    assert database.take_commit() is None
