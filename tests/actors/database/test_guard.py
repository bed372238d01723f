"""What user SQL may and may not do, one line each."""

from __future__ import annotations

import apsw
import pytest

from actors.database.database import Database
from actors.database.guard_list import (
    FUNCTIONS,
    MODULES,
    PRAGMAS_ANY,
    PRAGMAS_BOOLEAN,
    PRAGMAS_OBJECT,
    PRAGMAS_OBJECT_OR_NUMBER,
    PRAGMAS_READ,
    REFUSED_FUNCTIONS,
    REFUSED_TABLES,
)
from actors.errors import DatabaseError, NotAuthorized, SqlError
from tests.actors.database.factory import a_batch, a_database, integrity_problems, rows, run

SYSTEM = "CREATE TABLE _cf_kv(key TEXT PRIMARY KEY, value) WITHOUT ROWID; INSERT INTO _cf_kv VALUES('secret', 42)"

REFUSED = """
BEGIN
BEGIN IMMEDIATE
COMMIT
END
ROLLBACK
SAVEPOINT foo
RELEASE foo
ROLLBACK TO foo
ATTACH 'x.db' AS x
ATTACH ':memory:' AS x
DETACH main
VACUUM
VACUUM INTO 'x.db'
/* hidden */ VACUUM
CREATE TEMP TABLE x(a)
CREATE TEMPORARY TABLE x(a)
CREATE TABLE temp.x(a)
CREATE TEMP VIEW x AS SELECT 1
CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END
CREATE TABLE _cf_x(a)
CREATE TABLE _Cf_x(a)
CREATE TABLE _CF_X(a)
CREATE TABLE "_cf_x"(a)
CREATE TABLE [_cf_x](a)
CREATE TABLE `_CF_x`(a)
CREATE TABLE '_cf_x'(a)
CREATE TABLE main._cf_x(a)
CREATE TABLE _cf_x AS SELECT 1
CREATE VIRTUAL TABLE _cf_f USING fts5(a)
SELECT * FROM _cf_kv
SELECT key FROM _cf_kv
SELECT count(*) FROM _cf_kv
SELECT 1 WHERE EXISTS (SELECT 1 FROM _cf_kv)
SELECT * FROM "_cf_kv"
SELECT * FROM "_CF_KV"
SELECT * FROM main._cf_kv
SELECT * FROM main.[_cf_kv] AS innocent
SELECT t.a FROM t, _cf_kv
SELECT (SELECT value FROM _cf_kv) FROM t
WITH x AS (SELECT * FROM _cf_kv) SELECT * FROM x
INSERT INTO t SELECT key, value FROM _cf_kv
INSERT INTO _cf_kv VALUES('a', 1)
REPLACE INTO _cf_kv VALUES('secret', 1)
UPDATE _cf_kv SET value = 1
DELETE FROM _cf_kv
DROP TABLE _cf_kv
CREATE INDEX i ON _cf_kv(value)
CREATE INDEX _cf_i ON t(a)
CREATE VIEW _cf_v AS SELECT 1
CREATE VIEW v AS SELECT * FROM _cf_kv
CREATE TRIGGER x AFTER INSERT ON _cf_kv BEGIN SELECT 1; END
CREATE TRIGGER _cf_x AFTER INSERT ON t BEGIN SELECT 1; END
CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM _cf_kv; END
CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO "_Cf_kv" VALUES(1, 2); END
ALTER TABLE _cf_kv ADD COLUMN c
ALTER TABLE _cf_kv RENAME TO mine
ALTER TABLE _cf_kv RENAME COLUMN value TO v
ALTER TABLE t RENAME TO _cf_kv2
ALTER TABLE t RENAME TO "_CF_t"
ALTER TABLE t RENAME COLUMN a TO _cf_a
ALTER TABLE t ADD COLUMN c REFERENCES _cf_kv(key)
CREATE TABLE x(a REFERENCES _cf_kv(key))
CREATE TABLE x(a, FOREIGN KEY(a) REFERENCES "_CF_KV"(key))
CREATE TABLE x(a, _cf_b)
CREATE VIRTUAL TABLE f USING fts5(a, content='_cf_kv')
CREATE VIRTUAL TABLE f USING fts5(a, content=_cf_kv)
CREATE VIRTUAL TABLE f USING fts5abcd(a)
CREATE VIRTUAL TABLE f USING fts3(a)
CREATE VIRTUAL TABLE f USING fts4(a)
CREATE VIRTUAL TABLE f USING geopoly(a)
CREATE VIRTUAL TABLE f USING dbstat
CREATE VIRTUAL TABLE f USING carray
SELECT * FROM dbstat
SELECT count(*) FROM DBSTAT
SELECT * FROM dbstat('main')
SELECT * FROM carray(1, 2)
SELECT * FROM fts3tokenize('simple', 'x')
SELECT * FROM pragma_function_list
SELECT * FROM pragma_module_list
SELECT * FROM pragma_table_info('_cf_kv')
SELECT * FROM pragma_table_xinfo('_CF_kv')
SELECT * FROM pragma_table_info('_cf_kv', 'main')
SELECT sqlite_version()
SELECT sqlite_source_id()
SELECT sqlite_compileoption_get(1)
SELECT load_extension('x')
SELECT fts3_tokenizer('simple')
SELECT fts5_source_id()
CREATE TABLE x(a CHECK(sqlite_version() > a))
PRAGMA data_version=5
PRAGMA page_size=8192
PRAGMA journal_mode
PRAGMA journal_mode=WAL
PRAGMA journal_mode=OFF
PRAGMA main.journal_mode=OFF
PRAGMA locking_mode=NORMAL
PRAGMA synchronous=OFF
PRAGMA max_page_count=10
PRAGMA hard_heap_limit=1
PRAGMA soft_heap_limit=1
PRAGMA user_version
PRAGMA user_version=1
PRAGMA application_id=1
PRAGMA schema_version=1
PRAGMA compile_options
PRAGMA database_list
PRAGMA function_list
PRAGMA module_list
PRAGMA writable_schema=ON
PRAGMA writable_schema=RESET
PRAGMA trusted_schema=ON
PRAGMA secure_delete=OFF
PRAGMA auto_vacuum=1
PRAGMA incremental_vacuum
PRAGMA cache_size=100000
PRAGMA cache_spill=ON
PRAGMA mmap_size=100000
PRAGMA temp_store=1
PRAGMA temp_store_directory='/tmp'
PRAGMA query_only=ON
PRAGMA threads=4
PRAGMA busy_timeout=10
PRAGMA wal_checkpoint
PRAGMA encoding='UTF-16'
PRAGMA integrity_check(_cf_kv)
PRAGMA quick_check(_cf_kv)
PRAGMA table_info(_cf_kv)
PRAGMA table_info('_CF_KV')
PRAGMA main.table_info(_cf_kv)
PRAGMA foreign_key_list(_cf_kv)
PRAGMA index_list("_cf_kv")
PRAGMA defer_foreign_keys=abcd
PRAGMA temp.table_info(t)
"""

# Refused by SQLite itself, because of how the connection is set up.
IMPOSSIBLE = """
UPDATE sqlite_schema SET sql = 'x'
UPDATE sqlite_master SET name = '_cf_x'
DELETE FROM sqlite_schema
INSERT INTO sqlite_schema VALUES('table', 'x', 'x', 2, 'CREATE TABLE x(a)')
INSERT INTO sqlite_temp_schema VALUES('table', 'x', 'x', 2, 'CREATE TABLE x(a)')
UPDATE search_data SET block = x'00'
DROP TABLE search_data
DROP TABLE sqlite_schema
SELECT sqlite_rename_table('main', 'table', 't', 'x', 't', 'y', 0)
SELECT * FROM other.t
SELECT * FROM x.sqlite_schema
SELECT * FROM sqlite_dbpage
CREATE TABLE sqlite_x(a)
"""

ALLOWED = """
SELECT 123
SELECT "foo" AS col
SELECT x'ff', zeroblob(10), NULL
SELECT cos(0), json_extract('[1,2]', '$[1]'), '[4,5]' -> 1
SELECT current_date, current_time, current_timestamp, random(), hex(randomblob(4))
SELECT changes(), total_changes(), last_insert_rowid()
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 5) SELECT sum(x) FROM c
SELECT * FROM sqlite_schema
SELECT name FROM sqlite_master
SELECT * FROM sqlite_temp_schema
SELECT * FROM json_each('[1,2]')
SELECT * FROM json_tree('{"a":1}')
SELECT * FROM pragma_table_info('t')
SELECT * FROM pragma_table_list
SELECT my_cf_x FROM (SELECT 1 AS my_cf_x)
CREATE TABLE x(my_cf_a, a_cf_ TEXT DEFAULT 'is _cf_ inside') /* _cf_kv */
CREATE TABLE x(a INTEGER PRIMARY KEY AUTOINCREMENT, b AS (a + 1) STORED, CHECK(a > 0), UNIQUE(b))
CREATE TABLE IF NOT EXISTS t(a)
CREATE UNIQUE INDEX i ON t(a, b DESC) WHERE b > 0
CREATE VIEW v AS SELECT a FROM t
CREATE TRIGGER x AFTER INSERT ON t BEGIN UPDATE t SET b = new.a; DELETE FROM t WHERE a < 0; END
CREATE VIRTUAL TABLE f USING fts5(a, tokenize='porter')
CREATE VIRTUAL TABLE f USING FtS5(a)
CREATE VIRTUAL TABLE f USING fTs5VoCaB(search, row)
CREATE VIRTUAL TABLE f USING rtree(id, x0, x1)
CREATE VIRTUAL TABLE f USING rtree_i32(id, x0, x1)
SELECT highlight(search, 0, '<', '>'), bm25(search), snippet(search, 0, '', '', '', 5) FROM search('run')
INSERT INTO search(search) VALUES('optimize')
DROP TABLE search
DROP TABLE t
ALTER TABLE t RENAME TO tt
ALTER TABLE t RENAME COLUMN a TO aa
ALTER TABLE t ADD COLUMN c DEFAULT 5
ALTER TABLE t DROP COLUMN b
INSERT INTO t VALUES(1, 2) ON CONFLICT DO NOTHING
INSERT INTO t VALUES(1, 2) RETURNING *
REPLACE INTO t VALUES(1, 2)
UPDATE t SET a = 1 FROM (SELECT 2 AS z) WHERE b = z
DELETE FROM t
REINDEX
REINDEX t
ANALYZE
ANALYZE t
EXPLAIN SELECT * FROM t
EXPLAIN QUERY PLAN SELECT * FROM t
PRAGMA data_version
PRAGMA page_size
PRAGMA page_count
PRAGMA encoding
PRAGMA table_info(t)
PRAGMA table_xinfo('t')
PRAGMA index_list(t)
PRAGMA foreign_key_list(t)
PRAGMA foreign_key_check
PRAGMA foreign_key_check(t)
PRAGMA quick_check
PRAGMA quick_check(1)
PRAGMA quick_check(100)
PRAGMA quick_check(t)
PRAGMA table_list
PRAGMA optimize
PRAGMA optimize(-1)
PRAGMA foreign_keys
PRAGMA foreign_keys=OFF
PRAGMA defer_foreign_keys=true
PRAGMA defer_foreign_keys=FALSE
PRAGMA defer_foreign_keys = on
PRAGMA defer_foreign_keys='yes'
PRAGMA defer_foreign_keys="No"
PRAGMA defer_foreign_keys=  1
PRAGMA ignore_check_constraints=ON
PRAGMA recursive_triggers=1
PRAGMA case_sensitive_like=ON
PRAGMA legacy_alter_table=OFF
PRAGMA reverse_unordered_selects=ON
"""


def lines(table: str) -> list[str]:
    return [line for line in table.splitlines() if line]


def guarded() -> Database:
    database = a_database(
        "CREATE TABLE t(a, b)",
        "INSERT INTO t VALUES(1, 2)",
        "CREATE VIRTUAL TABLE search USING fts5(text, tokenize='porter')",
        "INSERT INTO search VALUES('running fast')",
    )
    database.system(lambda sql: sql.execute(SYSTEM))
    database.take_commit()
    return database


@pytest.mark.parametrize("sql", lines(REFUSED))
def test_refused_and_nothing_changed(sql: str) -> None:
    database = guarded()
    before = database.copy_image().pages
    for batch in (a_batch(sql), a_batch("INSERT INTO t VALUES(3, 4)", sql)):
        with pytest.raises(NotAuthorized, match=r"(?i)not authorized|not for SQL text"):
            database.execute(batch)
        assert database.take_commit() is None
        assert database.copy_image().pages == before
    assert database.system(lambda system: system.execute("SELECT * FROM _cf_kv")) == [("secret", 42)]


@pytest.mark.parametrize("sql", lines(IMPOSSIBLE))
def test_impossible_by_how_the_connection_is_set_up(sql: str) -> None:
    database = guarded()
    before = database.copy_image().pages
    with pytest.raises(DatabaseError) as caught:
        run(database, sql)
    assert isinstance(caught.value, SqlError | NotAuthorized)
    assert database.copy_image().pages == before


@pytest.mark.parametrize("sql", lines(ALLOWED))
def test_allowed(sql: str) -> None:
    database = guarded()
    run(database, sql)
    database.execute(a_batch("SELECT 1", sql)) if not sql.startswith(("CREATE", "ALTER", "DROP")) else None
    assert integrity_problems(database.copy_image()) == []
    assert database.system(lambda system: system.execute("SELECT * FROM _cf_kv")) == [("secret", 42)]


def test_a_transaction_word_names_the_way_to_do_it() -> None:
    with pytest.raises(NotAuthorized, match="send `statements`"):
        run(guarded(), "BEGIN")


def test_every_function_of_this_sqlite_is_either_allowed_or_refused() -> None:
    offered = {name for (name,) in apsw.Connection("").execute("SELECT lower(name) FROM pragma_function_list")}
    assert offered - FUNCTIONS - REFUSED_FUNCTIONS == set()
    assert not FUNCTIONS & REFUSED_FUNCTIONS


def test_every_module_and_eponymous_table_of_this_sqlite_is_decided() -> None:
    connection = apsw.Connection("")
    modules = {name for (name,) in connection.execute("SELECT name FROM pragma_module_list")}
    harmless = {"json_each", "json_tree"}
    assert modules - MODULES - REFUSED_TABLES - harmless - {"fts3", "fts4"} == set()


def test_every_pragma_of_this_sqlite_is_refused_unless_listed() -> None:
    database = guarded()
    allowed = PRAGMAS_READ | PRAGMAS_BOOLEAN | PRAGMAS_OBJECT | PRAGMAS_OBJECT_OR_NUMBER | PRAGMAS_ANY
    for (name,) in apsw.Connection("").execute("SELECT name FROM pragma_pragma_list"):
        if name not in allowed:
            with pytest.raises(NotAuthorized):
                run(database, f"PRAGMA {name}")
            with pytest.raises(NotAuthorized):
                run(database, f"PRAGMA {name} = 1")


def test_a_cached_system_statement_is_not_found_by_user_sql_of_the_same_text() -> None:
    database = guarded()
    text = "SELECT value FROM _cf_kv"
    for _ in range(3):
        assert database.system(lambda system: system.execute(text)) == [(42,)]
        with pytest.raises(NotAuthorized):
            run(database, text)


def test_the_authorizer_is_not_asked_when_a_cached_statement_runs() -> None:
    database = guarded()
    asked = 0
    guard = database._connection.guard

    def counting(*question: object) -> int:
        nonlocal asked
        asked += 1
        return guard(*question)  # type: ignore[arg-type]

    database._connection.apsw.authorizer = counting
    rows(database, "SELECT a FROM t WHERE b = ?", [2])
    first = asked
    for _ in range(10):
        rows(database, "SELECT a FROM t WHERE b = ?", [2])
    assert asked == first > 0


def test_a_view_or_default_does_not_lead_around_the_function_list() -> None:
    database = guarded()
    for definition, use in (
        ("CREATE TABLE x(a DEFAULT (sqlite_version()), b)", "INSERT INTO x(b) VALUES(1)"),
        ("CREATE VIEW v AS SELECT sqlite_version() AS s", "SELECT * FROM v"),
        ("CREATE TABLE y(a, b AS (sqlite_version()))", "SELECT * FROM y"),
    ):
        with pytest.raises(NotAuthorized, match="sqlite_version"):
            run(database, definition)
            run(database, use)


def test_what_shows_of_the_system_is_its_definition_alone() -> None:
    database = guarded()
    assert ("_cf_kv",) in rows(database, "SELECT name FROM sqlite_schema")
    assert "_cf_kv" in [row[1] for row in rows(database, "PRAGMA table_list")]


def test_analyze_skips_the_system_tables() -> None:
    database = guarded()
    run(database, "ANALYZE")
    assert rows(database, "SELECT tbl FROM sqlite_stat1 WHERE tbl LIKE '\\_cf\\_%' ESCAPE '\\'") == []
    assert ("t",) in rows(database, "SELECT tbl FROM sqlite_stat1")


def test_a_child_of_a_system_table_can_not_be_smuggled_in_with_foreign_keys_off() -> None:
    database = guarded()
    run(database, "PRAGMA foreign_keys=OFF")
    with pytest.raises(NotAuthorized):
        run(database, "CREATE TABLE evil(x REFERENCES _cf_kv(key))")
    database.system(lambda system: system.execute("DELETE FROM _cf_kv"))


LIMITS = [
    ("SELECT 1" + " UNION ALL SELECT 1" * 60, "too many terms in compound SELECT"),
    ("SELECT " + ", ".join("1" for _ in range(300)), "too many columns"),
    ("CREATE TABLE x(" + ", ".join(f"c{n}" for n in range(300)) + ")", "too many columns"),
    ("SELECT 'a' LIKE '" + "a" * 1500 + "'", "LIKE or GLOB pattern too complex"),
    ("SELECT '" + "a" * 200_000 + "'", "too big|too large"),
    ("SELECT zeroblob(5000000)", "too big"),
    ("SELECT " + "abs(" * 150 + "1" + ")" * 150, "depth|overflow"),
    ("SELECT json_object(" + ", ".join("'a', 1" for _ in range(100)) + ")", "too many arguments"),
]


@pytest.mark.parametrize(("sql", "reason"), LIMITS, ids=[reason for _, reason in LIMITS])
def test_sqlites_limits_are_set(sql: str, reason: str) -> None:
    with pytest.raises(SqlError, match=reason):
        run(guarded(), sql)


def test_within_the_limits_it_runs() -> None:
    database = guarded()
    run(database, "SELECT 1" + " UNION ALL SELECT 1" * 49)
    run(database, "VALUES " + ", ".join("(1)" for _ in range(500)))
    assert rows(database, "SELECT length(?)", [b"x" * (4 << 20)]) == [(4 << 20,)]
    assert rows(database, "SELECT " + " + ".join("?" for _ in range(90)), [1] * 90) == [(90,)]
    assert rows(database, "SELECT 'a' LIKE ?", ["a" + "%" * 900]) == [(1,)]
