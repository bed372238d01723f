"""Exports: a whole SQLite file, without the system's tables and without a byte of theirs."""

from __future__ import annotations

import dataclasses
import functools

import pytest

from actors.database.export import export_chunks, without_system_tables
from actors.database.image import PageImage
from actors.database.importing import import_database
from actors.database.schema import apply_schema, built_in_migrations, new_database_image
from actors.database.system import SystemSql
from tests.actors.database.factory import SETTINGS, a_database, integrity_problems, plain, rows, run

SECRET = "do-not-export-this-reply"


def a_used_image(page_size: int = 4096) -> PageImage:
    """A database with system rows old and new, some of them deleted, between user rows."""
    image = new_database_image(dataclasses.replace(SETTINGS, page_size=page_size), built_in_migrations())
    database = a_database(image=image, page_size=page_size)
    remember = "INSERT INTO _cf_idempotency VALUES(?, ?, ?, ?)"
    for number in range(60):
        row = (f"{SECRET}{number}", b"d", 1.0, (SECRET * (1 + number * 9)).encode())
        database.system(functools.partial(SystemSql.execute, sql=remember, params=row))
        run(database, "INSERT INTO games(name, video_path) VALUES(?, ?)", [f"game {number}", "v" * 50 * number])
    database.system(lambda sql: sql.execute("DELETE FROM _cf_idempotency WHERE length(reply) % 2 = 0"))
    run(database, "DELETE FROM games WHERE id % 5 = 0")
    run(database, "ANALYZE")
    return database.copy_image()


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
def test_nothing_of_the_system_is_in_an_export(page_size: int) -> None:
    image = a_used_image(page_size)
    assert SECRET.encode() in image.to_bytes()
    exported = without_system_tables(image).to_bytes()
    for trace in (SECRET.encode(), b"_cf_", b"do-not-exp"):
        assert trace not in exported
    assert integrity_problems(PageImage.from_bytes(exported)) == []


def test_an_export_leaves_the_live_image_alone() -> None:
    image = a_used_image()
    before = image.pages.copy()
    without_system_tables(image)
    assert image.pages == before


async def test_an_export_has_all_of_the_users_tables_and_imports_again() -> None:
    image = a_used_image()
    exported = b"".join([chunk async for chunk in export_chunks(image.copy(), chunk_bytes=8192)])
    stock, live = plain(PageImage.from_bytes(exported)), plain(image)
    listed = stock.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_stat%'")
    tables = [name for (name,) in listed]
    assert "games" in tables
    for table in tables:
        assert stock.execute(f"SELECT * FROM {table}").fetchall() == live.execute(f"SELECT * FROM {table}").fetchall()
    again = import_database(exported, SETTINGS, current=image)
    database = a_database(image=again.image)
    assert rows(database, "SELECT count(*) FROM games") == live.execute("SELECT count(*) FROM games").fetchall()
    assert apply_schema(database, built_in_migrations(), at=0.0) == 0


def test_a_database_that_was_never_written_exports_to_nothing() -> None:
    assert without_system_tables(PageImage.empty(4096)).pages == []
