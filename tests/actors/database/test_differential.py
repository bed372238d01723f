"""Random statements against stock SQLite in memory: the same answers, the same errors, the same content.

Ours runs under guard, limits and deadline, over captured pages, with cached plans; the other is a plain `:memory:`
connection. All along, an image rebuilt from our commits must be the live one. A failure prints its seed.
"""

from __future__ import annotations

import random
from typing import Any

import apsw
import pytest

from actors.database.failure import sqlite_code
from actors.database.statement import Batch, Statement
from storage.errors import HoldfastError
from tests.actors.database.factory import Follower, a_database, integrity_problems, rows

SCHEMA = (
    "CREATE TABLE a(id INTEGER PRIMARY KEY, k TEXT UNIQUE, n, r REAL, b BLOB)",
    "CREATE TABLE w(k TEXT, n INTEGER, v, PRIMARY KEY(k, n)) WITHOUT ROWID",
    "CREATE TABLE c(id INTEGER PRIMARY KEY AUTOINCREMENT, a INTEGER REFERENCES a(id) ON DELETE CASCADE, n NOT NULL, "
    "CHECK(n < 90))",
    "CREATE TABLE log(what, n)",
    "CREATE INDEX a_n ON a(n, k)",
    "CREATE TRIGGER a_gone AFTER DELETE ON a BEGIN INSERT INTO log VALUES('gone', old.id); END",
    "CREATE TRIGGER c_bad BEFORE INSERT ON c WHEN new.n = 77 BEGIN SELECT RAISE(ABORT, 'seventy-seven'); END",
    "CREATE VIEW joined AS SELECT a.id, a.k, count(c.id) AS children FROM a LEFT JOIN c ON c.a = a.id GROUP BY a.id",
)

WRITES = [
    ("INSERT INTO a(id, k, n) VALUES(?, ?, ?)", "ikn"),
    ("INSERT INTO a(k, n, r) VALUES(?, ?, ?)", "knr"),
    ("INSERT OR IGNORE INTO a(id, k, n, b) VALUES(?, ?, ?, ?)", "iknb"),
    ("INSERT OR REPLACE INTO a(id, k, b) VALUES(?, ?, ?)", "ikb"),
    ("REPLACE INTO w VALUES(?, ?, ?)", "knv"),
    ("INSERT INTO w VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET v = excluded.v, n = n + 1", "knv"),
    ("INSERT INTO w(k, n) SELECT k, n FROM a WHERE id > ? LIMIT 3", "i"),
    ("INSERT INTO c(a, n) VALUES(?, ?)", "in"),
    ("INSERT INTO c(a, n) SELECT id, ? FROM a ORDER BY id DESC LIMIT 2", "n"),
    ("UPDATE a SET n = ?, r = ? WHERE id = ?", "nri"),
    ("UPDATE a SET k = k || ? WHERE n < ? AND length(k) < 12", "kn"),
    ("UPDATE OR IGNORE a SET id = id + ? WHERE k = ?", "nk"),
    ("UPDATE w SET v = v + 1 WHERE n > ?", "n"),
    ("UPDATE c SET n = n + ? WHERE a = ?", "ni"),
    ("DELETE FROM a WHERE id = ?", "i"),
    ("DELETE FROM a WHERE id > ? + 60 AND n > ?", "in"),
    ("DELETE FROM w WHERE n % 7 = ? % 7", "n"),
    ("DELETE FROM c WHERE id < (SELECT max(id) FROM c) - ?", "n"),
    ("DELETE FROM log WHERE rowid < (SELECT max(rowid) FROM log) - 40", ""),
    ("INSERT INTO a(k) VALUES(?) RETURNING id, k, n", "k"),
    ("UPDATE a SET n = n + 1 WHERE id < ? RETURNING id, n", "i"),
    ("DELETE FROM w WHERE k = ? RETURNING *", "k"),
]
READS = [
    ("SELECT * FROM a WHERE id = ?", "i"),
    ("SELECT id, k, n FROM a WHERE n BETWEEN ? AND ? ORDER BY id", "nn"),
    ("SELECT count(*), sum(n), min(k), max(r), avg(n) FROM a", ""),
    ("SELECT * FROM joined WHERE children > ? ORDER BY 1", "n"),
    ("SELECT k, v FROM w WHERE n = ? ORDER BY k DESC", "n"),
    ("SELECT * FROM w WHERE k >= ? LIMIT 5", "k"),
    ("SELECT what, count(*) FROM log GROUP BY what", ""),
    ("SELECT a.k, w.v FROM a JOIN w ON a.k = w.k WHERE a.id < ? ORDER BY a.id, w.n", "i"),
    ("WITH RECURSIVE s(x) AS (SELECT ? UNION ALL SELECT x + 1 FROM s LIMIT 20) SELECT group_concat(x) FROM s", "n"),
    ("SELECT id, row_number() OVER (ORDER BY n, id), typeof(b), quote(r) FROM a WHERE id < ?", "i"),
    ("SELECT ? + ?, ? || ?", "nrkk"),
    ("SELECT nothing FROM a WHERE id = ?", "i"),
    ("SELECT * FROM a WHERE", ""),
]
SCHEMA_CHANGES = [
    ("CREATE INDEX IF NOT EXISTS w_v ON w(v)", ""),
    ("DROP INDEX IF EXISTS w_v", ""),
    ("CREATE TABLE IF NOT EXISTS extra AS SELECT * FROM a", ""),
    ("DROP TABLE IF EXISTS extra", ""),
    ("ALTER TABLE extra ADD COLUMN more DEFAULT 3", ""),
    ("ALTER TABLE extra RENAME COLUMN n TO renamed", ""),
    ("SELECT * FROM extra ORDER BY 1, 2", ""),
    ("ANALYZE", ""),
]
ENDERS = [
    ("INSERT OR ROLLBACK INTO a(id) VALUES(?)", "i"),
    ("INSERT OR FAIL INTO a(id, k) VALUES(1, 'k1'), (?, ?)", "ik"),
]


class Generator:
    """Statements over small ranges of keys, so that they meet."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def value(self, kind: str) -> Any:
        chance = self.chance
        if kind == "i":
            return chance.randrange(80)
        if kind == "n":
            return chance.randrange(100)
        if kind == "k":
            return f"k{chance.randrange(40)}"
        if kind == "r":
            return chance.random() * 1e6
        if kind == "b":
            return bytes(chance.randrange(3000)) if chance.random() < 0.2 else b"blob"
        return chance.choice((None, 1, -(2**62), 2.5, "text \0 with ä", b"\xff"))

    def statement(self) -> Statement:
        roll = self.chance.random()
        table = READS if roll < 0.45 else WRITES if roll < 0.985 else SCHEMA_CHANGES if roll < 0.995 else ENDERS
        sql, kinds = self.chance.choice(table)
        return Statement(sql, [self.value(kind) for kind in kinds] if kinds else None)

    def batch(self) -> Batch:
        roll = self.chance.random()
        if roll < 0.8:
            return Batch((self.statement(),))
        if roll < 0.95:
            return Batch(tuple([self.statement() for _ in range(self.chance.randrange(2, 5))]))
        first = self.statement()
        while first.params:
            first = self.statement()
        last = self.statement()
        return Batch((Statement(f"{first.sql}; {last.sql};", last.params),))


def plainly(connection: apsw.Connection, batch: Batch) -> Any:
    """What stock SQLite answers to the batch as one transaction."""
    results = []
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in batch.statements:
            parts = [part for part in statement.sql.split("; ") if part.strip(";")]
            for number, part in enumerate(parts, 1):
                cursor = connection.execute(part, statement.params if number == len(parts) else None)
                found = cursor.fetchall()
                word = part[:6]
                changed = connection.changes() if word in ("INSERT", "UPDATE", "DELETE", "REPLAC") else 0
            results.append((found, changed))
        connection.execute("COMMIT")
    except apsw.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return sqlite_code(error)
    return results


def compare(seed: int, statements: int) -> None:
    print(f"seed {seed}")
    generator, database = Generator(seed), a_database(*SCHEMA)
    follower = Follower(database)
    stock = apsw.Connection(":memory:")
    stock.execute("PRAGMA foreign_keys = ON")
    for sql in SCHEMA:
        stock.execute(sql)
    done = errors = 0
    while done < statements:
        batch = generator.batch()
        done += len(batch.statements)
        expected = plainly(stock, batch)
        try:
            answer: Any = [(result.rows, result.changes) for result in database.execute(batch).results]
        except HoldfastError as error:
            answer = error.details["sqlite"]
            errors += 1
        assert answer == expected, f"seed {seed}, {batch}"
        follower.follow()
    assert errors > done / 200, "errors were never compared"
    for (table,) in stock.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1").fetchall():
        if not str(table).startswith("sqlite_stat"):
            query = f"SELECT * FROM {table} ORDER BY 1, 2"
            assert rows(database, query) == stock.execute(query).fetchall(), f"seed {seed}"
    assert integrity_problems(follower.image) == []


@pytest.mark.parametrize("seed", range(4))
def test_twenty_thousand_statements_answer_as_stock_sqlite_does(seed: int) -> None:
    compare(seed, 5_000)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(100, 110))
def test_a_million_statements_answer_as_stock_sqlite_does(seed: int) -> None:
    compare(seed, 100_000)
