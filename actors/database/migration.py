"""Numbered schema migrations: what they are, and which of them a database still needs. Pure.

A database's ledger (`_cf_migrations`) holds number, name and checksum of each migration it went through. A file that
changed after it was applied, or a ledger entry this version does not know, stops the activation of that database: the
first is a mistake, the second was written by a newer Holdfast.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered SQL file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's text, hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def title(self) -> str:
        """How messages name it."""
        return f"{self.number:04d}_{self.name}"


@dataclass(frozen=True, slots=True)
class Applied:
    """One entry of a database's ledger."""

    number: int
    name: str
    checksum: str


@dataclass(frozen=True, slots=True)
class ToApply:
    """Migrations to run, in order; none if the database is up to date."""

    migrations: tuple[Migration, ...]


@dataclass(frozen=True, slots=True)
class ChecksumChanged:
    """A migration was changed after this database went through it."""

    migration: Migration
    applied: Applied


@dataclass(frozen=True, slots=True)
class Newer:
    """The database went through a migration that this version does not know."""

    applied: Applied


def read_migrations(files: Mapping[str, str]) -> tuple[Migration, ...]:
    """Migrations from file names and texts, by number. Raises ValueError for odd names and for gaps."""
    migrations = []
    for file_name, sql in sorted(files.items()):
        match = _FILE_NAME.fullmatch(file_name)
        if match is None:
            raise ValueError(f"migration file {file_name}, expected a name like 0001_initial.sql")
        migrations.append(Migration(int(match.group(1)), match.group(2), sql))
    for expected, migration in enumerate(migrations, 1):
        if migration.number != expected:
            raise ValueError(f"migration {migration.title}, expected number {expected}")
    return tuple(migrations)


def plan_migrations(ledger: Iterable[Applied], available: Sequence[Migration]) -> ToApply | ChecksumChanged | Newer:
    """What a database with this ledger needs."""
    by_number = {migration.number: migration for migration in available}
    done = set()
    for applied in ledger:
        migration = by_number.get(applied.number)
        if migration is None:
            return Newer(applied)
        if migration.checksum != applied.checksum:
            return ChecksumChanged(migration, applied)
        done.add(applied.number)
    return ToApply(tuple(migration for migration in available if migration.number not in done))
