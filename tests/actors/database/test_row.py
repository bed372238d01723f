"""The wrapper that reads texts as bytes."""

from __future__ import annotations

import pytest

from actors.database.row import can_wrap, unwrapped, wrapped
from actors.database.statement import RawText
from tests.actors.database.factory import a_database, rows


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1, 'a', x'00ff', 2.5, NULL",
        "SELECT a, b, a FROM t ORDER BY b DESC, a",
        "SELECT a, count(*) FROM t GROUP BY a HAVING count(*) > 0 ORDER BY 2 LIMIT 3",
        "WITH x(a) AS (SELECT 1 UNION SELECT 2) SELECT a FROM x ORDER BY a DESC -- a comment",
        "VALUES (1, 'a'), (2, 'b');",
        "SELECT a FROM t WHERE b = 'it''s; fine' OR 1 ; ",
        "SELECT 'a' || char(0) || 'b', ''",
    ],
)
def test_a_wrapped_read_gives_the_same_rows_in_the_same_order(sql: str) -> None:
    database = a_database(
        "CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 'x'), (x'ff', 'y'), ('text', NULL), ('', x'')"
    )
    expected = rows(database, sql)
    width = len(expected[0])
    assert can_wrap(sql)
    assert [tuple(map(unwrapped, row)) for row in rows(database, wrapped(sql, width))] == expected


def test_only_plain_reads_are_wrapped() -> None:
    assert can_wrap(" /* c */ -- d\n select 1")
    for sql in ("INSERT INTO t VALUES(1) RETURNING a", "PRAGMA table_info(t)", "EXPLAIN SELECT 1", "selection"):
        assert not can_wrap(sql)


def test_a_marked_value_is_text_blob_or_neither() -> None:
    assert unwrapped(b"tabc") == "abc"
    assert unwrapped(b"babc") == b"abc"
    assert type(unwrapped(b"t\xff")) is RawText
    assert unwrapped(5) == 5
    assert unwrapped(None) is None
