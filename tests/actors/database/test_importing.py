"""Files that may take the place of a database, and files that may not, with the reason."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import apsw
import pytest

from actors.database.database import Database
from actors.database.export import without_system_tables
from actors.database.image import PageImage, page_size_of
from actors.database.importing import import_database
from actors.database.schema import built_in_migrations, new_database_image
from actors.errors import InvalidDatabase
from tests.actors.database.factory import SETTINGS, a_database, integrity_problems, plain, rows, run

CHINOOK = Path(__file__).parents[3].parent / "shared" / "data" / "chinook.sqlite"


def a_file(*statements: str, page_size: int = 4096, pragma: str = "") -> bytes:
    connection = apsw.Connection(":memory:")
    connection.execute(f"PRAGMA page_size = {page_size}; {pragma}")
    for sql in statements or ("CREATE TABLE t(a); INSERT INTO t VALUES(1), ('x'), (x'ff')",):
        connection.execute(sql)
    return connection.serialize("main")


def test_a_plain_file_imports_with_its_rows_and_opens() -> None:
    imported = import_database(a_file(), SETTINGS)
    assert (imported.tables, imported.foreign_key_violations, imported.page_size_before) == (1, 0, 4096)
    assert rows(Database.open(imported.image, SETTINGS), "SELECT a FROM t") == [(1,), ("x",), (b"\xff",)]
    assert integrity_problems(imported.image) == []


def test_the_systems_tables_come_from_the_database_that_is_replaced() -> None:
    current = a_database(image=new_database_image(SETTINGS, built_in_migrations()))
    current.system(lambda sql: sql.execute("INSERT INTO _cf_idempotency VALUES('key', x'00', 1.0, x'ff')"))
    current.system(lambda sql: sql.execute("CREATE TABLE _cf_later(a); INSERT INTO _cf_later VALUES(7)"))
    imported = import_database(a_file(), SETTINGS, current=current.copy_image())
    current.replace(imported.image)
    read = current.system
    assert read(lambda sql: sql.execute("SELECT key, reply FROM _cf_idempotency")) == [("key", b"\xff")]
    assert read(lambda sql: sql.execute("SELECT a FROM _cf_later")) == [(7,)]
    assert read(lambda sql: sql.execute("SELECT value FROM _cf_meta WHERE key = 'origin'")) == [("import",)]
    assert read(lambda sql: sql.execute("SELECT count(*) FROM _cf_migrations")) == [(1,)]


@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65536])
@pytest.mark.parametrize("wanted", [512, 4096])
def test_every_page_size_is_made_to_fit(page_size: int, wanted: int) -> None:
    settings = dataclasses.replace(SETTINGS, page_size=wanted)
    data = a_file("CREATE TABLE t(a); INSERT INTO t VALUES(zeroblob(100000))", page_size=page_size)
    imported = import_database(data, settings)
    assert imported.page_size_before == page_size
    assert page_size_of(imported.image.to_bytes()) == imported.image.page_size == wanted
    assert integrity_problems(imported.image) == []
    assert plain(imported.image).execute("SELECT length(a) FROM t").fetchall() == [(100_000,)]


@pytest.mark.parametrize("page_size", [1024, 4096])
def test_auto_vacuum_is_kept(page_size: int) -> None:
    imported = import_database(a_file(page_size=page_size, pragma="PRAGMA auto_vacuum = FULL"), SETTINGS)
    assert plain(imported.image).pragma("auto_vacuum") == 1


@pytest.mark.parametrize("page_size", [1024, 4096])
def test_a_wal_header_becomes_a_rollback_one(tmp_path: Path, page_size: int) -> None:
    path = tmp_path / "wal.sqlite"
    connection = apsw.Connection(str(path))
    for sql in (
        f"PRAGMA page_size = {page_size}",
        "PRAGMA journal_mode = WAL",
        "CREATE TABLE t(a)",
        "INSERT INTO t VALUES(5)",
    ):
        connection.execute(sql).fetchall()
    connection.close()
    data = path.read_bytes()
    assert data[18:20] == b"\x02\x02"
    imported = import_database(data, SETTINGS)
    assert imported.image.pages[0][18:20] == b"\x01\x01"
    assert rows(Database.open(imported.image, SETTINGS), "SELECT a FROM t") == [(5,)]


def test_broken_foreign_keys_are_counted_not_refused() -> None:
    data = a_file(
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p(id)); INSERT INTO c VALUES(1), (2)"
    )
    assert import_database(data, SETTINGS).foreign_key_violations == 2


def damaged() -> bytes:
    data = bytearray(a_file("CREATE TABLE t(a)", "INSERT INTO t VALUES(zeroblob(20000))"))
    data[4096 : 4096 + 8] = b"\xff" * 8
    return bytes(data)


def with_name(sql: str, name: bytes, other: bytes) -> bytes:
    return a_file(sql).replace(name, other)


REFUSED = [
    (b"", "the header is missing"),
    (b"SQLite format 3\x00" + b"\x00" * 200, "page size 0"),
    (bytes(range(256)) * 64, "encrypted databases cannot be imported"),
    (a_file()[:4096], "cut short"),
    (a_file()[:-1], "cut short"),
    (damaged(), "quick_check found|no healthy"),
    (a_file()[:18] + b"\x03\x03" + a_file()[20:], "file format 3/3"),
    (a_file(pragma="PRAGMA encoding = 'UTF-16le'"), "encoding UTF-16le, expected UTF-8"),
    (a_file("CREATE TABLE _cf_x(a)"), "table _cf_x uses the reserved name _cf_x"),
    (a_file("CREATE TABLE _CF_X(a)"), "reserved name _CF_X"),
    (a_file("CREATE TABLE t(a); CREATE INDEX _cf_i ON t(a)"), "index _cf_i uses the reserved"),
    (a_file("CREATE TABLE t(a REFERENCES _cf_meta(key))"), "reserved name _cf_meta"),
    (a_file("CREATE VIEW v AS SELECT * FROM _cf_meta"), "view v uses the reserved name _cf_meta"),
    (a_file("CREATE VIRTUAL TABLE f USING fts4(a)"), "table f is of module fts4"),
    (a_file("CREATE VIRTUAL TABLE f USING geopoly(a)"), "module geopoly"),
    (a_file("CREATE TABLE t(" + ", ".join(f"c{n}" for n in range(300)) + ")"), "limits"),
    (with_name("CREATE TABLE abcdefgh(a)", b"abcdefgh", b"abcd\xff\xfegh"), "UTF-8"),
    (with_name("CREATE TABLE abcdefgh(a)", b"CREATE", b"CRXATE"), "no healthy"),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidDatabase, match=reason):
        import_database(data, SETTINGS)


def test_a_file_past_the_size_limit_is_refused() -> None:
    settings = dataclasses.replace(SETTINGS, database_bytes_max=40_000)
    with pytest.raises(InvalidDatabase, match="at most 40000"):
        import_database(a_file("CREATE TABLE t(a); INSERT INTO t VALUES(zeroblob(60000))"), settings)


def test_a_check_that_takes_too_long_is_ended() -> None:
    at = 0.0

    def clock() -> float:
        nonlocal at
        at += 100.0
        return at

    data = a_file(
        "CREATE TABLE t(a)",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 200000) INSERT INTO t SELECT x FROM c",
    )
    with pytest.raises(InvalidDatabase, match="took longer than 120 s"):
        import_database(data, SETTINGS, now=clock)


def test_system_tables_of_the_r2_mode_can_be_left_out() -> None:
    data = a_file("CREATE TABLE _cf_file(a); INSERT INTO _cf_file VALUES('state'); CREATE TABLE t(a)")
    imported = import_database(data, SETTINGS, drop_system_tables=True)
    names = [name for (name,) in plain(imported.image).execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    assert "_cf_file" not in names
    assert "t" in names


def test_searches_and_trees_survive_import_and_export() -> None:
    data = a_file(
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        "INSERT INTO f VALUES('hello world')",
        "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1)",
        "INSERT INTO r VALUES(1, 0, 5)",
    )
    image = import_database(data, SETTINGS).image
    again = import_database(without_system_tables(image).to_bytes(), SETTINGS).image
    database = a_database(image=again)
    assert rows(database, "SELECT a FROM f('hello')") == [("hello world",)]
    assert rows(database, "SELECT id FROM r WHERE x0 < 1") == [(1,)]
    run(database, "INSERT INTO f VALUES('more')")


@pytest.mark.skipif(not CHINOOK.exists(), reason=f"{CHINOOK} is missing")
def test_a_real_database_comes_out_as_it_went_in() -> None:
    data = CHINOOK.read_bytes()
    current = new_database_image(SETTINGS, built_in_migrations())
    database = a_database(image=current)
    database.replace(import_database(data, SETTINGS, current=current).image)
    exported = without_system_tables(database.copy_image())
    before, after = plain(PageImage.from_bytes(data)), plain(exported)
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
    assert after.execute(schema).fetchall() == before.execute(schema).fetchall()
    tables = [name for (name,) in before.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    assert len(tables) > 5
    for table in tables:
        query = f'SELECT * FROM "{table}"'
        assert after.execute(query).fetchall() == before.execute(query).fetchall()
    assert integrity_problems(exported) == []
