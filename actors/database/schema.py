"""The schema of a database: the system's own tables, and the built-in migrations applied to new databases.

Each migration runs in a transaction of its own and is recorded with its checksum. Imported databases keep the schema
they came with (`origin` in `_cf_meta`). A new database costs a copy of page references: its image is built once per set
of migrations, with no time in it (an `at` of NULL in the ledger means: with the database).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib import resources

from actors.database.database import Database
from actors.database.image import PageImage
from actors.database.migration import Applied, ChecksumChanged, Migration, Newer, plan_migrations, read_migrations
from actors.database.system import SystemSql
from actors.errors import DatabaseBroken, SchemaFailed
from actors.settings import DatabaseSettings
from storage.errors import HoldfastError

SYSTEM_FORMAT = 1
ORIGIN_NEW = "new"
ORIGIN_IMPORT = "import"

SYSTEM_SCHEMA = """
CREATE TABLE IF NOT EXISTS _cf_meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _cf_migrations(
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, at REAL
);
CREATE TABLE IF NOT EXISTS _cf_idempotency(
    key TEXT PRIMARY KEY, digest BLOB NOT NULL, at REAL NOT NULL, reply BLOB NOT NULL
) WITHOUT ROWID;
"""
_TEMPLATES_MAX = 8


@functools.cache
def built_in_migrations() -> tuple[Migration, ...]:
    """The migrations in this package's `migrations` folder."""
    folder = resources.files(__package__) / "migrations"
    files = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".sql")}
    return read_migrations(files)


def new_database_image(settings: DatabaseSettings, migrations: Sequence[Migration]) -> PageImage:
    """A new database with the system's tables and all `migrations`; the same bytes every time. Raises SchemaFailed."""
    return _template(settings, tuple(migrations)).copy()


def apply_schema(database: Database, migrations: Sequence[Migration], *, at: float) -> int:
    """Bring an open database up to date; how many migrations ran. `at`: Unix seconds for the ledger.

    Raises SchemaFailed naming the migration; the ones before it stay applied.
    """
    origin, ledger = database.system(_read_ledger)
    if origin == ORIGIN_IMPORT:
        return 0
    plan = plan_migrations(ledger, migrations)
    if isinstance(plan, ChecksumChanged):
        raise SchemaFailed(
            f"migration {plan.migration.title}: checksum {plan.migration.checksum[:12]}, "
            f"this database went through {plan.applied.checksum[:12]}"
        )
    if isinstance(plan, Newer):
        raise SchemaFailed(
            f"migration {plan.applied.number:04d}_{plan.applied.name} is of a newer version than this one"
        )
    for migration in plan.migrations:
        _apply(database, migration, at)
    return len(plan.migrations)


def create_system_tables(sql: SystemSql, origin: str) -> None:
    """The system's tables, and where the database came from."""
    sql.execute(SYSTEM_SCHEMA)
    sql.execute("REPLACE INTO _cf_meta VALUES('format', ?)", (SYSTEM_FORMAT,))
    sql.execute("REPLACE INTO _cf_meta VALUES('origin', ?)", (origin,))


@functools.lru_cache(maxsize=_TEMPLATES_MAX)
def _template(settings: DatabaseSettings, migrations: tuple[Migration, ...]) -> PageImage:
    image = PageImage.empty(settings.page_size)
    database = Database.open(image, settings)
    try:
        database.system(lambda sql: create_system_tables(sql, ORIGIN_NEW))
        for migration in migrations:
            _apply(database, migration, None)
    finally:
        database.close()
    return image


def _apply(database: Database, migration: Migration, at: float | None) -> None:
    def run(sql: SystemSql) -> None:
        sql.execute(migration.sql)
        ledger_entry = (migration.number, migration.name, migration.checksum, at)
        sql.execute("INSERT INTO _cf_migrations(number, name, checksum, at) VALUES(?, ?, ?, ?)", ledger_entry)

    try:
        database.system(run)
    except DatabaseBroken:
        raise
    except HoldfastError as error:
        raise SchemaFailed(f"migration {migration.title}: {error.message}", details=error.details) from error


def _read_ledger(sql: SystemSql) -> tuple[str | None, list[Applied]]:
    if not sql.execute("SELECT 1 FROM sqlite_schema WHERE name = '_cf_meta'"):
        create_system_tables(sql, ORIGIN_IMPORT)
        return ORIGIN_IMPORT, []
    origin = sql.execute("SELECT value FROM _cf_meta WHERE key = 'origin'")
    rows = sql.execute("SELECT number, name, checksum FROM _cf_migrations ORDER BY number")
    ledger = [Applied(int(str(number)), str(name), str(checksum)) for number, name, checksum in rows]
    return (str(origin[0][0]) if origin else None), ledger
