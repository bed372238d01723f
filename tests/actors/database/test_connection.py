"""Connections: what they are set to, and what an idle one costs."""

from __future__ import annotations

import gc
from pathlib import Path

import apsw
import pytest

from actors.database.database import Database
from actors.database.schema import built_in_migrations, new_database_image
from tests.actors.database.factory import SETTINGS, a_database, run


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "memory"),
        ("locking_mode", "exclusive"),
        ("synchronous", 2),
        ("temp_store", 2),
        ("foreign_keys", 1),
        ("secure_delete", 2),
        ("cache_size", -64),
        ("cache_spill", 0),
        ("max_page_count", (1 << 30) // 4096),
        ("trusted_schema", 0),
        ("auto_vacuum", 0),
    ],
)
def test_the_pragmas_hold_while_the_database_is_used(pragma: str, value: object) -> None:
    database = a_database("CREATE TABLE t(a)", "INSERT INTO t VALUES(1)")
    run(database, "DELETE FROM t")
    assert database.system(lambda sql: sql.execute(f"PRAGMA {pragma}")) == [(value,)]


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc/self/status is missing")
def test_an_open_database_that_was_used_costs_less_than_270_kib() -> None:
    def a_used_database() -> Database:
        database = Database.open(new_database_image(SETTINGS, built_in_migrations()), SETTINGS)
        for number in range(1, 20):
            run(database, "INSERT INTO games(name, duration) VALUES(?, ?)", [f"game {number}", 5400.0])
            run(database, "SELECT * FROM games WHERE id = ?", [number])
        run(database, "UPDATE games SET name = 'x' WHERE id = ?", [3])
        run(database, "SELECT count(*) FROM games JOIN raw_clips ON game_id = games.id")
        database.take_commit()
        return database

    warm = [a_used_database() for _ in range(20)]
    gc.collect()
    before, sqlite_before = resident_kib(), apsw.memory_used()
    databases = [a_used_database() for _ in range(200)]
    gc.collect()
    resident = (resident_kib() - before) / len(databases)
    sqlite = (apsw.memory_used() - sqlite_before) / len(databases) / 1024
    assert resident < 270, f"{resident:.0f} KiB each, of which SQLite {sqlite:.0f}"
    # What a database says of itself is what a host's memory budget counts.
    reported = databases[0].memory_bytes / 1024
    assert sqlite < reported < 400, f"{sqlite:.0f} KiB used, {reported:.0f} reported"
    assert len(warm) == 20


def test_an_idle_database_holds_no_block_of_spare_pages() -> None:
    image = new_database_image(SETTINGS, built_in_migrations())
    first = Database.open(image.copy(), SETTINGS)
    before = apsw.memory_used()
    second = Database.open(image.copy(), SETTINGS)
    assert apsw.memory_used() - before < 100 << 10
    assert first.memory_bytes == second.memory_bytes
