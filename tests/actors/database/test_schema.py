"""New databases get the system's tables and all migrations; older ones what they lack; imported ones nothing."""

from __future__ import annotations

import pytest

from actors.database.database import Database
from actors.database.importing import import_database
from actors.database.migration import Migration
from actors.database.schema import apply_schema, built_in_migrations, new_database_image
from actors.errors import SchemaFailed
from tests.actors.database.factory import SETTINGS, Follower, a_database, integrity_problems, rows, run

FIRST = Migration(1, "first", "CREATE TABLE one(a); INSERT INTO one VALUES('kept')")
SECOND = Migration(2, "second", "CREATE TABLE two(a); INSERT INTO two SELECT a FROM one")
BROKEN = Migration(2, "broken", "CREATE TABLE half(a); INSERT INTO missing VALUES(1)")


def test_the_built_in_set_makes_the_six_tables() -> None:
    database = a_database(image=new_database_image(SETTINGS, built_in_migrations()))
    names = [name for (name,) in rows(database, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    system = ["_cf_idempotency", "_cf_meta", "_cf_migrations", "sqlite_sequence"]
    user = ["final_videos", "games", "highlight_regions", "projects", "raw_clips", "working_clips"]
    assert names == sorted(system + user)
    run(database, "INSERT INTO games(name) VALUES('derby')")
    assert rows(database, "SELECT game_type, created_at IS NOT NULL FROM games") == [("away", 1)]


def test_a_new_image_has_the_same_bytes_every_time_and_shares_them() -> None:
    one, two = (new_database_image(SETTINGS, (FIRST,)) for _ in range(2))
    assert one.pages == two.pages
    assert all(mine is yours for mine, yours in zip(one.pages, two.pages, strict=True))
    run(a_database(image=one), "DELETE FROM one")
    assert rows(a_database(image=two), "SELECT a FROM one") == [("kept",)]
    assert integrity_problems(two) == []


def test_an_older_database_gets_what_it_lacks_once() -> None:
    database = a_database(image=new_database_image(SETTINGS, (FIRST,)))
    follower = Follower(database)
    assert apply_schema(database, (FIRST, SECOND), at=17.0) == 1
    assert rows(database, "SELECT a FROM two") == [("kept",)]
    assert follower.follow() is not None
    assert apply_schema(database, (FIRST, SECOND), at=18.0) == 0
    assert follower.follow() is None
    ledger = database.system(lambda sql: sql.execute("SELECT number, name, at FROM _cf_migrations"))
    assert ledger == [(1, "first", None), (2, "second", 17.0)]


def test_a_migration_that_fails_is_named_and_leaves_nothing() -> None:
    database = a_database(image=new_database_image(SETTINGS, (FIRST,)))
    follower = Follower(database)
    with pytest.raises(SchemaFailed, match="migration 0002_broken: no such table: missing"):
        apply_schema(database, (FIRST, BROKEN), at=1.0)
    assert follower.follow() is None
    assert rows(database, "SELECT name FROM sqlite_schema WHERE name = 'half'") == []


def test_a_changed_and_a_newer_migration_stop_the_database() -> None:
    database = a_database(image=new_database_image(SETTINGS, (FIRST, SECOND)))
    with pytest.raises(SchemaFailed, match="0001_first: checksum"):
        apply_schema(database, (Migration(1, "first", "CREATE TABLE other(a)"), SECOND), at=1.0)
    with pytest.raises(SchemaFailed, match="0002_second is of a newer version"):
        apply_schema(database, (FIRST,), at=1.0)


def test_an_imported_database_keeps_the_schema_it_came_with() -> None:
    file = a_database("CREATE TABLE mine(a)").copy_image().to_bytes()
    current = new_database_image(SETTINGS, (FIRST,))
    database = Database.open(import_database(file, SETTINGS, current=current).image, SETTINGS)
    assert apply_schema(database, (FIRST, SECOND), at=1.0) == 0
    assert [
        name for (name,) in rows(database, "SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'")
    ] == ["mine"]


def test_a_database_without_system_tables_counts_as_imported() -> None:
    database = a_database("CREATE TABLE mine(a)")
    assert apply_schema(database, (FIRST,), at=1.0) == 0
    assert database.system(lambda sql: sql.execute("SELECT value FROM _cf_meta WHERE key = 'origin'")) == [("import",)]
