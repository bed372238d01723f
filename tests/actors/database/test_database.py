"""Batches of user SQL: one transaction each, answered with native rows, bounded in time and size."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from actors.database.database import PLANS_MAX, Database
from actors.database.deadline import BudgetExceeded
from actors.database.image import PageImage
from actors.database.statement import BatchResult, RawText
from actors.database.system import SystemSql
from actors.errors import (
    ActivationEnded,
    ConstraintFailed,
    DatabaseBroken,
    DatabaseFull,
    NotAuthorized,
    ResultTooLarge,
    SqlError,
    StatementTimeout,
    TransactionEnded,
)
from tests.actors.database.factory import SETTINGS, Follower, a_batch, a_database, integrity_problems, rows, run

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT UNIQUE)"
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


class Ticks:
    """A clock that moves on by a fixed step at every look."""

    def __init__(self, step_s: float) -> None:
        self.at, self.step_s = 0.0, step_s

    def __call__(self) -> float:
        self.at += self.step_s
        return self.at


# -- results


def test_a_select_answers_columns_and_native_rows() -> None:
    result = run(a_database(), "SELECT 1 AS one, 'x' AS two, x'ff' AS three, NULL AS four, 1.5 AS one")
    assert result.columns == ("one", "two", "three", "four", "one")
    assert result.rows == [(1, "x", b"\xff", None, 1.5)]
    assert (result.changes, result.last_insert_rowid) == (0, None)


def test_an_empty_select_has_columns_and_a_change_has_none() -> None:
    database = a_database(TABLE)
    assert run(database, "SELECT * FROM t").columns == ("id", "a")
    assert run(database, "UPDATE t SET a = 1 WHERE 0").columns == ()
    assert run(database, "UPDATE t SET a = 1 WHERE 0 RETURNING a").columns == ("a",)


def test_changes_and_rowids_are_those_of_the_statement_and_the_batch() -> None:
    database = a_database(TABLE)
    assert run(database, "INSERT INTO t(a) VALUES('x'), ('y')").last_insert_rowid == 2
    results = database.execute(
        a_batch(
            "UPDATE t SET a = a || '!'",
            "INSERT INTO t(id, a) VALUES(77, 'z')",
            "SELECT last_insert_rowid()",
            "DELETE FROM t WHERE id > 1",
            "CREATE TABLE u(a)",
        )
    ).results
    assert [result.changes for result in results] == [2, 1, 0, 2, 0]
    assert [result.last_insert_rowid for result in results] == [None, 77, None, 77, None]
    assert results[2].rows == [(77,)]
    assert run(database, "UPDATE t SET a = 'w'").last_insert_rowid is None


def test_named_and_numbered_parameters() -> None:
    database = a_database()
    assert rows(database, "SELECT :a + @b + $c", {"a": 1, "b": 2, "c": 3}) == [(6,)]
    assert rows(database, "SELECT ?2 || ?1", ["x", "y"]) == [("yx",)]
    assert rows(database, "SELECT ?", [None]) == [(None,)]
    assert rows(database, "SELECT ? , ?", [True, False]) == [(1, 0)]


@pytest.mark.parametrize(
    ("sql", "params", "reason"),
    [
        ("SELECT ?", None, "wrong number of parameter bindings: the statement has 1, 0 given"),
        ("SELECT ?", [], "the statement has 1, 0 given"),
        ("SELECT ?", [1, 2], "the statement has 1, 2 given"),
        ("SELECT 1", [1], "the statement has 0, 1 given"),
        ("SELECT :a", {"b": 1}, r"missing \['a'\], not in the statement \['b'\]"),
        ("SELECT :a", {"a": 1, "b": 2}, "not in the statement"),
        ("SELECT ?", {"a": 1}, "has no name"),
        ("SELECT ?", [2**63], "parameter 1: the integer is outside of 64 bits"),
        ("SELECT :n", {"n": -(2**63) - 1}, "parameter n: the integer"),
        ("SELECT ?", ["\ud800"], "half a surrogate pair"),
        ("SELECT ?", [[1]], "list is no SQL value"),
        ("SELECT ?", [object()], "object is no SQL value"),
        ("SELECT ?", 5, "parameters are a list or an object, found int"),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_wrong_parameters_are_errors_of_the_request(sql: str, params: Any, reason: str, together: bool) -> None:
    database = a_database()
    batch = a_batch("SELECT 1", (sql, params)) if together else a_batch((sql, params))
    with pytest.raises(SqlError, match=reason) as caught:
        database.execute(batch)
    assert caught.value.details["statement"] == int(together)
    assert rows(database, "SELECT 1") == [(1,)]


def test_integers_are_exact_to_the_last_of_64_bits() -> None:
    database = a_database()
    for number in (2**53 + 1, 2**63 - 1, -(2**63)):
        assert rows(database, "SELECT ?", [number]) == [(number,)]


# -- texts of several statements


def test_a_text_of_several_statements_binds_and_answers_the_last() -> None:
    database = a_database()
    result = run(
        database,
        "CREATE TABLE t(a); CREATE INDEX i ON t(a); INSERT INTO t VALUES(1), (2);; SELECT a + ? FROM t ORDER BY a;\n",
        [10],
    )
    assert result.columns == ("a + ?",)
    assert result.rows == [(11,), (12,)]


def test_parameters_before_the_last_statement_are_refused() -> None:
    with pytest.raises(SqlError, match="wrong number of parameter bindings"):
        run(a_database(), "SELECT ?; SELECT ?", [1, 2])


@pytest.mark.parametrize("sql", ["", ";", " ; ;\n", "-- only a comment", "/* two */ /* comments */", "SELECT 1; -- c"])
def test_a_text_without_a_last_statement_is_refused(sql: str) -> None:
    with pytest.raises(SqlError, match="holds no statement"):
        run(a_database(), sql)


@pytest.mark.parametrize(
    ("sql", "offset"),
    [
        ("SELECT ;", 7),
        ("SELECT -;", 8),
        ("SELECT 1; SELECT -;", 18),
        ("SELECT 'ä'; SELECT -;", 21),
        ("INSERT INTO t VALUES(1", 22),
        ("SELECT 'abc", 7),
        ("SELECT nothing FROM sqlite_schema", 7),
    ],
)
def test_a_syntax_error_says_where_in_the_text_it_is(sql: str, offset: int) -> None:
    with pytest.raises(SqlError) as caught:
        run(a_database(), sql)
    assert caught.value.details == {"sqlite": "SQLITE_ERROR", "statement": 0, "offset": offset}


@pytest.mark.parametrize("sql", ["SELECT '\ud800'", "SELECT 1\x00; DROP TABLE t"])
def test_a_text_that_is_no_text_is_refused(sql: str) -> None:
    with pytest.raises(SqlError, match=r"surrogate|NUL"):
        run(a_database(), sql)


def test_all_of_a_text_is_one_transaction() -> None:
    database = a_database(TABLE)
    with pytest.raises(ConstraintFailed):
        run(database, "INSERT INTO t VALUES(1, 'x'); INSERT INTO t VALUES(1, 'y')")
    assert rows(database, "SELECT * FROM t") == []


def test_too_many_statements_are_refused() -> None:
    database = a_database(statements_max=5)
    database.execute(a_batch(*["SELECT 1"] * 5))
    with pytest.raises(SqlError, match="at most 5"):
        database.execute(a_batch(*["SELECT 1"] * 6))
    with pytest.raises(SqlError, match="more than 5 statements"):
        run(database, "SELECT 1;" * 6)


# -- transactions


def test_an_error_rolls_back_the_whole_batch_and_names_the_statement() -> None:
    database = a_database(TABLE)
    follower = Follower(database)
    with pytest.raises(ConstraintFailed, match=r"UNIQUE constraint failed: t\.a") as caught:
        database.execute(a_batch("INSERT INTO t(a) VALUES('x')", "CREATE TABLE u(a)", "INSERT INTO t(a) VALUES('x')"))
    assert caught.value.details == {"sqlite": "SQLITE_CONSTRAINT_UNIQUE", "statement": 2}
    assert follower.follow() is None
    assert rows(database, "SELECT count(*) FROM sqlite_schema WHERE name = 'u'") == [(0,)]


def test_constraint_errors_carry_sqlites_own_name() -> None:
    database = a_database(TABLE, "CREATE TABLE n(a NOT NULL CHECK(a > 0))", "INSERT INTO t VALUES(1, 'x')")
    for sql, name in (
        ("INSERT INTO t VALUES(1, 'y')", "SQLITE_CONSTRAINT_PRIMARYKEY"),
        ("INSERT INTO n VALUES(NULL)", "SQLITE_CONSTRAINT_NOTNULL"),
        ("INSERT INTO n VALUES(-1)", "SQLITE_CONSTRAINT_CHECK"),
    ):
        with pytest.raises(ConstraintFailed) as caught:
            run(database, sql)
        assert caught.value.details["sqlite"] == name
    with pytest.raises(SqlError) as wrong_type:
        run(database, "INSERT INTO t(rowid, a) VALUES('yeah', 'nah')")
    assert wrong_type.value.details["sqlite"] == "SQLITE_MISMATCH"


def test_a_failed_statement_runs_again_with_better_values() -> None:
    database = a_database(TABLE, "INSERT INTO t VALUES(1, 'x')")
    with pytest.raises(ConstraintFailed):
        run(database, "INSERT INTO t VALUES(?, ?)", [1, "y"])
    assert run(database, "INSERT INTO t VALUES(?, ?)", [2, "y"]).changes == 1


ENDERS = [
    "INSERT OR ROLLBACK INTO t VALUES(1, 'again')",
    "INSERT INTO bomb VALUES(1)",
]


@pytest.mark.parametrize("ender", ENDERS)
@pytest.mark.parametrize("as_text", [False, True])
def test_a_transaction_that_a_statement_ended_is_noticed_and_nothing_is_kept(ender: str, as_text: bool) -> None:
    database = a_database(
        TABLE,
        "INSERT INTO t VALUES(1, 'x')",
        "CREATE TABLE bomb(a)",
        "CREATE TRIGGER explode AFTER INSERT ON bomb BEGIN SELECT RAISE(ROLLBACK, 'boom'); END",
    )
    follower = Follower(database)
    parts = ("INSERT INTO t VALUES(5, 'lost')", ender, "INSERT INTO t VALUES(6, 'must not run')")
    with pytest.raises(TransactionEnded):
        database.execute(a_batch("; ".join(parts)) if as_text else a_batch(*parts))
    assert follower.follow() is None
    assert rows(database, "SELECT * FROM t") == [(1, "x")]


def test_or_rollback_alone_is_an_ordinary_constraint_error() -> None:
    database = a_database(TABLE, "INSERT INTO t VALUES(1, 'x')")
    with pytest.raises(ConstraintFailed):
        run(database, ENDERS[0])


PARTIAL = [
    ("CREATE TABLE p(a UNIQUE)", "INSERT OR FAIL INTO p VALUES(1), (2), (1)"),
    ("CREATE TABLE p(a UNIQUE ON CONFLICT FAIL)", "INSERT INTO p VALUES(1), (2), (1)"),
    (
        "CREATE TABLE p(a); CREATE TRIGGER x BEFORE INSERT ON p WHEN new.a = 3 BEGIN SELECT RAISE(FAIL, 'no'); END",
        "INSERT INTO p VALUES(1), (2), (3)",
    ),
    (
        "CREATE TABLE p(a); CREATE TABLE q(a UNIQUE); INSERT INTO q VALUES(2);"
        "CREATE TRIGGER x AFTER INSERT ON p BEGIN INSERT OR FAIL INTO q VALUES(new.a); END",
        "INSERT INTO p VALUES(1), (2), (3)",
    ),
]


@pytest.mark.parametrize(("schema", "sql"), PARTIAL)
def test_a_failing_statement_keeps_nothing_even_where_sqlite_would_keep_a_part(schema: str, sql: str) -> None:
    database = a_database(schema)
    with pytest.raises(ConstraintFailed):
        run(database, sql)
    assert database.take_commit() is None
    assert rows(database, "SELECT * FROM p") == []


FAMILY = ("CREATE TABLE parent(id INTEGER PRIMARY KEY)", "CREATE TABLE child(p REFERENCES parent(id))")


def test_foreign_keys_are_on_and_checked_at_once() -> None:
    database = a_database(*FAMILY)
    with pytest.raises(ConstraintFailed, match="FOREIGN KEY"):
        run(database, "INSERT INTO child VALUES(1)")
    with pytest.raises(ConstraintFailed, match="FOREIGN KEY"):
        database.execute(a_batch("INSERT INTO child VALUES(1)", "INSERT INTO parent VALUES(1)"))


def test_deferred_foreign_keys_may_be_satisfied_until_the_commit() -> None:
    database = a_database(*FAMILY)
    defer = "PRAGMA defer_foreign_keys = ON"
    database.execute(a_batch(defer, "INSERT INTO child VALUES(1)", "INSERT INTO parent VALUES(1)"))
    follower = Follower(database)
    with pytest.raises(ConstraintFailed, match="FOREIGN KEY"):
        database.execute(a_batch(defer, "INSERT INTO child VALUES(2)"))
    assert follower.follow() is not None, "the first batch was not taken yet"
    assert rows(database, "SELECT p FROM child") == [(1,)]
    with pytest.raises(ConstraintFailed):
        run(database, "INSERT INTO child VALUES(2)")


def test_foreign_keys_can_be_switched_off_alone_but_not_inside_a_transaction() -> None:
    database = a_database(*FAMILY)
    database.execute(a_batch("PRAGMA foreign_keys = OFF", "SELECT 1"))
    assert rows(database, "PRAGMA foreign_keys") == [(1,)]
    run(database, "PRAGMA foreign_keys = OFF")
    assert rows(database, "PRAGMA foreign_keys") == [(0,)]
    run(database, "INSERT INTO child VALUES(1)")


def test_a_schema_change_shows_at_once_in_the_columns_of_a_known_text() -> None:
    database = a_database(TABLE)
    text = "SELECT * FROM t"
    assert run(database, text).columns == ("id", "a")
    results = database.execute(a_batch(text, "ALTER TABLE t ADD COLUMN b", text)).results
    assert [result.columns for result in results if result.columns] == [("id", "a"), ("id", "a", "b")]
    assert run(database, text).columns == ("id", "a", "b")
    with pytest.raises(SqlError):
        database.execute(a_batch("ALTER TABLE t DROP COLUMN b", text, "SELECT nothing"))
    assert run(database, text).columns == ("id", "a", "b")


def test_more_texts_than_are_remembered_still_run() -> None:
    database = a_database()
    for number in range(3 * PLANS_MAX):
        assert rows(database, f"SELECT {number}") == [(number,)]
    assert len(database._plans) <= PLANS_MAX


# -- system SQL beside user SQL


def remember(key: str) -> Callable[[SystemSql, BatchResult], None]:
    """System SQL that joins a batch."""

    def work(sql: SystemSql, results: BatchResult) -> None:
        sql.execute("INSERT INTO _cf_seen VALUES(?, ?)", (key, len(results.results)))

    return work


def test_extra_joins_the_transaction_and_shares_its_fate() -> None:
    database = a_database(TABLE)
    database.system(lambda sql: sql.execute("CREATE TABLE _cf_seen(key TEXT PRIMARY KEY, results)"))
    database.execute(a_batch("INSERT INTO t VALUES(1, 'x')"), extra=remember("k"))
    with pytest.raises(ConstraintFailed):
        database.execute(a_batch("INSERT INTO t VALUES(1, 'x')"), extra=remember("l"))
    with pytest.raises(ConstraintFailed):
        database.execute(a_batch("INSERT INTO t VALUES(2, 'y')"), extra=remember("k"))
    assert database.system(lambda sql: sql.execute("SELECT * FROM _cf_seen")) == [("k", 1)]
    assert rows(database, "SELECT id FROM t") == [(1,)]


def test_the_systems_own_exceptions_pass_through_and_roll_back() -> None:
    database = a_database(TABLE)

    def work(sql: Any, *_: Any) -> None:
        sql.execute("INSERT INTO t VALUES(9, 'x')")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        database.system(work)
    with pytest.raises(KeyError, match="mine"):
        database.execute(a_batch("SELECT 1"), extra=work)
    assert rows(database, "SELECT * FROM t") == []


def test_the_guard_is_back_after_system_sql_whether_it_failed_or_not() -> None:
    database = a_database()
    database.system(lambda sql: sql.execute("CREATE TABLE _cf_x(a)"))
    with pytest.raises(SqlError):
        database.system(lambda sql: sql.execute("nonsense"))
    with pytest.raises(NotAuthorized):
        run(database, "SELECT * FROM _cf_x")


# -- bounds


def test_a_statement_past_its_deadline_is_ended_and_undone() -> None:
    database = a_database(TABLE, now=Ticks(1.0))
    with pytest.raises(StatementTimeout, match="longer than 5 s"):
        run(database, f"INSERT INTO t(id) {ENDLESS}")
    with pytest.raises(StatementTimeout) as caught:
        database.execute(a_batch("INSERT INTO t VALUES(1, 'x')", ENDLESS))
    assert caught.value.details["statement"] == 1
    assert rows(database, "SELECT * FROM t") == []


def test_a_batch_past_its_budget_leaves_nothing_and_runs_again_without() -> None:
    database = a_database(TABLE, now=Ticks(0.01))
    long = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100000) SELECT count(*) FROM c"
    alone, together = a_batch(f"INSERT INTO t(id) {long}"), a_batch("INSERT INTO t VALUES(1, 'x')", long)
    for batch in (alone, together):
        with pytest.raises(BudgetExceeded):
            database.execute(batch, budget_s=0.02)
        assert database.take_commit() is None
        assert rows(database, "SELECT count(*) FROM t") == [(0,)]
    assert database.execute(together).results[1].rows == [(100_000,)]


def test_many_short_statements_use_up_a_budget_too() -> None:
    database = a_database(now=Ticks(0.01))
    with pytest.raises(BudgetExceeded):
        database.execute(a_batch(*["SELECT 1"] * 50), budget_s=0.05)


def test_a_short_statement_never_looks_at_the_clock() -> None:
    clock = Ticks(100.0)
    database = a_database(TABLE, now=clock)
    clock.at = 0.0
    for number in range(100):
        database.execute(a_batch(("INSERT INTO t VALUES(?, ?)", [number, str(number)])), budget_s=0.02)
    assert clock.at == 0.0


def test_an_answer_of_too_many_rows_or_bytes_is_refused_and_its_changes_undone() -> None:
    database = a_database(TABLE, result_rows_max=100, result_bytes_max=10_000)
    numbers = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 101)"
    assert len(rows(database, f"{numbers} SELECT x FROM c LIMIT 100")) == 100
    with pytest.raises(ResultTooLarge, match="more than 100 rows"):
        run(database, f"{numbers} SELECT x FROM c")
    with pytest.raises(ResultTooLarge, match="larger than 10000 bytes"):
        run(database, "SELECT zeroblob(10001)")
    with pytest.raises(ResultTooLarge):
        run(database, f"INSERT INTO t(id) SELECT x FROM ({numbers} SELECT x FROM c) RETURNING id")
    with pytest.raises(ResultTooLarge):
        database.execute(a_batch("INSERT INTO t VALUES(1, 'x')", "SELECT zeroblob(20000)"))
    assert rows(database, "SELECT count(*) FROM t") == [(0,)]
    assert database.take_commit() is None


def test_a_huge_answer_is_refused_long_before_it_is_whole() -> None:
    with pytest.raises(ResultTooLarge):
        run(
            a_database(),
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 600) SELECT zeroblob(4000000) FROM c",
        )


def test_a_full_database_says_so_and_goes_on() -> None:
    database = a_database(TABLE, database_bytes_max=40 * 4096)
    follower = Follower(database)
    with pytest.raises(DatabaseFull):
        run(database, "INSERT INTO t VALUES(1, ?)", ["x" * 200_000])
    with pytest.raises(DatabaseFull):
        database.execute(a_batch("INSERT INTO t VALUES(1, 'kept?')", ("INSERT INTO t VALUES(2, ?)", ["x" * 200_000])))
    assert follower.follow() is None
    run(database, "INSERT INTO t VALUES(3, 'small')")
    follower.follow()
    assert rows(database, "SELECT id FROM t") == [(3,)]
    assert integrity_problems(follower.image) == []


def test_a_running_statement_can_be_interrupted_from_another_thread() -> None:
    database = a_database(statement_deadline_s=60.0)
    running = threading.Event()

    def seen() -> bool:
        running.set()
        return False

    database._connection.apsw.set_progress_handler(seen, 1000, id="seen")
    failed: list[Exception] = []

    def query() -> None:
        try:
            run(database, ENDLESS)
        except ActivationEnded as error:
            failed.append(error)

    thread = threading.Thread(target=query)
    thread.start()
    assert running.wait(30)
    database.interrupt()
    thread.join(30)
    assert len(failed) == 1


# -- text that is none


BAD = (
    "CREATE TABLE b(a, b);"
    "INSERT INTO b VALUES(1, 'fine'), (2, CAST(x'ff41' AS TEXT)), (3, x'ff'), (4, 'a' || char(0) || 'b')"
)


@pytest.mark.parametrize("together", [False, True])
def test_one_text_that_is_no_utf8_does_not_spoil_the_others(together: bool) -> None:
    database = a_database(BAD)
    query = ("SELECT b AS x, a AS x FROM b WHERE a < ? ORDER BY a DESC;  ", [9])
    result = database.execute(a_batch("SELECT 1", query) if together else a_batch(query)).results[-1]
    assert result.columns == ("x", "x")
    assert result.rows == [("a\x00b", 4), (b"\xff", 3), (b"\xffA", 2), ("fine", 1)]
    assert [type(row[0]) for row in result.rows] == [str, bytes, RawText, str]
    assert rows(database, "SELECT length(b) FROM b WHERE a = 4") == [(1,)]


def test_returning_such_a_text_is_refused_and_undone() -> None:
    database = a_database(BAD)
    with pytest.raises(SqlError, match="CAST"):
        run(database, "UPDATE b SET a = a + 10 RETURNING b")
    assert rows(database, "SELECT min(a) FROM b") == [(1,)]
    assert rows(database, "UPDATE b SET a = a + 10 RETURNING CAST(b AS BLOB)")[1] == (b"\xffA",)


def test_a_name_that_is_no_utf8_is_an_error_of_the_request() -> None:
    database = a_database(BAD)
    with pytest.raises(SqlError):
        run(database, "SELECT json_extract(b, '$.x') FROM b WHERE a = 2")


# -- life


def test_replacing_the_image_is_one_commit_of_all_its_pages() -> None:
    database = a_database(TABLE, "INSERT INTO t VALUES(1, 'old')")
    follower = Follower(database)
    other = a_database("CREATE TABLE o(a)", "INSERT INTO o VALUES('new')").copy_image()
    follower.image.apply(database.replace(other))
    assert rows(database, "SELECT a FROM o") == [("new",)]
    run(database, "INSERT INTO o VALUES('newer')")
    follower.follow()
    with pytest.raises(SqlError, match="no such table"):
        run(database, "SELECT * FROM t")


def test_an_image_of_another_page_size_does_not_replace() -> None:
    with pytest.raises(ValueError, match="page size 512"):
        a_database().replace(PageImage.empty(512))


def test_bytes_that_are_no_database_do_not_open() -> None:
    with pytest.raises(DatabaseBroken):
        Database.open(PageImage(4096, [b"not a database".ljust(4096)]), SETTINGS)


def test_a_read_only_database_reads_and_refuses_writes() -> None:
    image = a_database(TABLE, "INSERT INTO t VALUES(1, 'x')").copy_image()
    database = Database.open(image, SETTINGS, read_only=True)
    assert database.execute(a_batch("SELECT a FROM t", "SELECT 1")).results[0].rows == [("x",)]
    with pytest.raises(SqlError, match="readonly"):
        run(database, "DELETE FROM t")


def test_a_closed_database_answers_nothing_and_closes_again() -> None:
    database = a_database()
    database.close()
    database.close()
    database.interrupt()
    with pytest.raises(DatabaseBroken):
        run(database, "SELECT 1")


def test_memory_counts_the_pages_and_stays_small() -> None:
    database = a_database(TABLE)
    small = database.memory_bytes
    assert small < 270 << 10
    run(database, "INSERT INTO t VALUES(1, ?)", ["x" * 1_000_000])
    assert database.memory_bytes > small + 1_000_000
