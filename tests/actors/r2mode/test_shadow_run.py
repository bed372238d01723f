"""One read on the actor's engine and on plain SQLite, over one file's bytes."""

from __future__ import annotations

import itertools
import math
from typing import Any

import apsw
import msgspec
import pytest

from actors.call import Durability
from actors.model.sql_turn import Scene, SqlTurn
from actors.r2mode.execution import run_sql
from actors.r2mode.shadow_run import SHOWN_CHARS_MAX, Comparison, Engine, ShadowRun, first_difference
from actors.settings import ActorSettings, DatabaseSettings

SETTINGS = ActorSettings(durability=Durability.R2)
SCENE = Scene(0.0, 60.0, lambda wrote: None)
FILE = "CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES(1, 'x'), (2, x'00ff'), (3, 9e999), (4, NULL)"


def a_file(sql: str = FILE, *, page_size: int = 4096) -> bytes:
    connection = apsw.Connection(":memory:")
    connection.execute(f"PRAGMA page_size = {page_size}")
    connection.execute(sql)
    return connection.serialize("main")


def a_run(body: bytes, request: dict[str, Any], *, shape: str = "arrays", answer: bytes | None = None) -> ShadowRun:
    """What r2 mode itself answers over `body`, unless another answer is given."""
    turn = SqlTurn.decode({"shape": shape}, msgspec.json.encode(request), SETTINGS)
    if answer is None:
        answer = run_sql(body, turn, SCENE, SETTINGS.database)[0].body
    return ShadowRun(body, turn, answer)


def compared(run: ShadowRun, **settings: Any) -> Comparison:
    ticks = itertools.count()
    return run.compare(DatabaseSettings(**settings), lambda: next(ticks) / 1000)


def changed(run: ShadowRun, rows: list[list[Any]]) -> ShadowRun:
    """The same read, of which the caller was told other rows."""
    answer = msgspec.json.decode(run.answer)
    answer["results"][0]["rows"] = rows
    return ShadowRun(run.body, run.turn, msgspec.json.encode(answer))


@pytest.mark.parametrize("shape", ["arrays", "objects"])
@pytest.mark.parametrize("page_size", [512, 4096, 65536])
@pytest.mark.parametrize(
    "request_",
    [
        {"sql": "SELECT a, b FROM t"},
        {"sql": "SELECT a FROM t WHERE a > :low", "params": {"low": 2}},
        {"sql": "SELECT 1; SELECT b FROM t WHERE a = ?", "params": [1]},
        {"statements": [{"sql": "SELECT count(*) FROM t"}, {"sql": "SELECT ?", "params": [{"base64": "AAE="}]}]},
        {"sql": "SELECT a FROM t WHERE 0"},
    ],
)
def test_a_sound_file_is_answered_alike(shape: str, page_size: int, request_: dict[str, Any]) -> None:
    comparison = compared(a_run(a_file(page_size=page_size), request_, shape=shape))
    assert comparison.findings == ()
    assert set(comparison.seconds) == set(Engine)
    assert all(seconds > 0 for seconds in comparison.seconds.values())


def test_a_wal_header_and_half_a_page_at_the_end_disturb_nobody() -> None:
    body = bytearray(a_file())
    body[18:20] = b"\x02\x02"
    assert compared(a_run(bytes(body) + b"half", {"sql": "SELECT a FROM t"})).findings == ()


def test_the_first_differing_row_is_named_with_both_sides() -> None:
    run = changed(a_run(a_file(), {"sql": "SELECT a, b FROM t LIMIT 2"}), [[1, "x"], [2, "other"]])
    findings = compared(run).findings
    assert [finding.engine for finding in findings] == [Engine.ACTOR, Engine.CONTROL]
    for finding in findings:
        assert (finding.statement, finding.row, finding.failed) == (0, 1, False)
        assert (finding.answered, finding.found) == ('[2,"other"]', '[2,{"base64":"AP8="}]')


def test_missing_and_additional_rows_differ() -> None:
    run = a_run(a_file(), {"sql": "SELECT a FROM t ORDER BY a"})
    for rows, row, answered, found in (
        ([[1], [2], [3]], 3, "null", "[4]"),
        ([[1], [2], [3], [4], [5]], 4, "[5]", "null"),
    ):
        first = compared(changed(run, rows)).findings[0]
        assert (first.row, first.answered, first.found) == (row, answered, found)


def test_other_columns_differ_before_any_row() -> None:
    one = [{"columns": ["a"], "rows": [[1]]}]
    finding = first_difference(Engine.ACTOR, one, [{"columns": ["b"], "rows": [[2]]}])
    assert finding is not None
    assert (finding.row, finding.answered, finding.found) == (None, '["a"]', '["b"]')


def test_what_is_shown_is_bounded() -> None:
    run = changed(a_run(a_file(), {"sql": "SELECT a FROM t LIMIT 1"}), [["x" * 10_000]])
    assert {len(finding.answered) for finding in compared(run).findings} == {SHOWN_CHARS_MAX}


def test_a_file_that_an_import_would_refuse_is_found_and_the_control_goes_on() -> None:
    body = a_file("CREATE TABLE _cf_own(a); CREATE VIEW v AS SELECT a FROM _cf_own; CREATE TABLE t(a)")
    findings = compared(a_run(body, {"sql": "SELECT a FROM t"})).findings
    assert [(finding.engine, finding.failed) for finding in findings] == [(Engine.ACTOR, True)]
    assert findings[0].found.startswith('"invalid_database: ')


def test_the_bounds_of_an_answer_hold_for_both_engines() -> None:
    findings = compared(a_run(a_file(), {"sql": "SELECT a FROM t"}), result_rows_max=3).findings
    assert [(finding.engine, finding.failed) for finding in findings] == [(Engine.ACTOR, True), (Engine.CONTROL, True)]
    assert all("result_too_large" in finding.found for finding in findings)


def test_an_endless_statement_is_ended_on_both_engines_when_the_clock_ends() -> None:
    endless = {"sql": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"}
    answer = b'{"results":[{"columns":["max(i)"],"rows":[[1]]}]}'
    findings = a_run(a_file(), endless, answer=answer).compare(DatabaseSettings(), lambda: math.inf).findings
    assert [finding.failed for finding in findings] == [True, True]
    assert "statement_timeout" in findings[0].found
    assert "InterruptError" in findings[1].found
