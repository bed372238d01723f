"""What the tests of this folder build: databases in memory, and a copy that follows them commit by commit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import apsw

from actors.database.database import Database
from actors.database.image import CommitPages, PageImage
from actors.database.scratch import scratch_connection
from actors.database.statement import Batch, Statement, StatementResult
from actors.settings import DatabaseSettings

SETTINGS = DatabaseSettings()


def a_database(
    *statements: str, image: PageImage | None = None, now: Callable[[], float] | None = None, **changed: Any
) -> Database:
    """A database after `statements`, with nothing left to take."""
    settings = dataclasses.replace(SETTINGS, **changed)
    database = Database.open(PageImage.empty(settings.page_size) if image is None else image, settings, now=now)
    for sql in statements:
        database.execute(a_batch(sql))
    database.take_commit()
    return database


def a_batch(*statements: str | tuple[str, Any]) -> Batch:
    """A batch of texts, or of texts with parameters."""
    return Batch(tuple(Statement(each) if isinstance(each, str) else Statement(*each) for each in statements))


def run(database: Database, sql: str, params: Any = None) -> StatementResult:
    """The result of one statement."""
    return database.execute(Batch((Statement(sql, params),))).results[0]


def rows(database: Database, sql: str, params: Any = None) -> list[Any]:
    return list(run(database, sql, params).rows)


class Follower:
    """An image rebuilt from nothing but the commits of a database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.image = database.copy_image()
        self.commits: list[CommitPages] = []

    def follow(self) -> CommitPages | None:
        """Apply what was committed; the copy must be the live image, page for page."""
        commit = self.database.take_commit()
        if commit is not None:
            self.image.apply(commit)
            self.commits.append(commit)
        assert self.image.pages == self.database.copy_image().pages
        return commit


def integrity_problems(image: PageImage) -> list[str]:
    """What integrity_check says of an image, empty if it is fine."""
    with scratch_connection(image.copy()) as connection:
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    return [] if found == ["ok"] else found


def plain(image: PageImage) -> apsw.Connection:
    """A connection of stock SQLite over a copy of the image."""
    connection = apsw.Connection(":memory:")
    connection.deserialize("main", image.to_bytes())
    return connection
