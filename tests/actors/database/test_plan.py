"""What is known of a statement before it runs."""

from __future__ import annotations

import apsw
import pytest

from actors.database.plan import Planner, may_fail_partly


def planner() -> Planner:
    connection = apsw.Connection("")
    connection.execute("CREATE TABLE t(a, b)")
    return Planner(connection)


@pytest.mark.parametrize(
    ("sql", "readonly", "changes", "alone"),
    [
        ("SELECT * FROM t", True, False, True),
        ("  /* c */ INSERT INTO t VALUES(1, 2)", False, True, True),
        ("-- c\nREPLACE INTO t VALUES(1, 2)", False, True, True),
        ("WITH x AS (SELECT 1) DELETE FROM t", False, True, True),
        ("WITH x AS (SELECT 1) SELECT * FROM x", True, False, True),
        ("INSERT INTO t VALUES(1, 2) RETURNING a", False, True, False),
        ("INSERT OR FAIL INTO t VALUES(1, 2)", False, True, False),
        ("CREATE TABLE u(a)", False, False, False),
        ("ALTER TABLE t ADD c", False, False, False),
        ("DROP TABLE t", False, False, False),
        ("ANALYZE", False, False, False),
        ("PRAGMA foreign_keys = ON", True, False, True),
        ("EXPLAIN DELETE FROM t", False, False, False),
        ("SELECT 1; SELECT 2", True, False, False),
        ("INSERT INTO t VALUES(1, 2);  ;\n", False, True, True),
        ("", True, False, False),
        ("-- nothing", True, False, False),
    ],
)
def test_what_may_run_without_a_transaction_around_it(sql: str, readonly: bool, changes: bool, alone: bool) -> None:
    plan = planner().plan(sql)
    assert (plan.readonly, plan.changes, plan.alone) == (readonly, changes, alone)


def test_parameters_and_columns_are_known_and_nothing_ran() -> None:
    looking = planner()
    plan = looking.plan("UPDATE t SET a = :a, b = ?5 RETURNING a, b AS c")
    assert plan.columns == ("a", "c")
    assert plan.parameters == 5
    assert looking.plan("SELECT count(*) FROM t").columns == ("count(*)",)


def test_the_first_of_several_statements_is_cut_out_with_its_blanks() -> None:
    plan = planner().plan("SELECT 'a;b' ; \n SELECT 2")
    assert plan.text.strip() == "SELECT 'a;b' ;"
    assert not plan.whole


@pytest.mark.parametrize(("sql", "partly"), [("INSERT OR fail INTO t", True), ("SELECT failed FROM t", False)])
def test_fail_is_looked_for_as_a_word(sql: str, partly: bool) -> None:
    assert may_fail_partly(sql) is partly
