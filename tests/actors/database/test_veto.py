"""A commit that the VFS refuses: the statement fails, the database stays as it was and goes on working."""

from __future__ import annotations

import pytest

from actors.database.database import Database
from actors.database.image import PageImage
from actors.database.statement import Batch, Statement
from actors.settings import DatabaseSettings
from storage.errors import Unavailable


def run(database: Database, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in database.execute(Batch((Statement(sql, ()),))).results[0].rows]


def refuse() -> None:
    raise Unavailable("the bucket is out of reach")


@pytest.mark.parametrize("reads_afterwards", [True, False])
def test_a_refused_commit_leaves_nothing_behind_not_even_at_close(reads_afterwards: bool) -> None:
    database = Database.open(PageImage.empty(4096), DatabaseSettings())
    run(database, "CREATE TABLE t(a)")
    run(database, "INSERT INTO t VALUES(1)")
    database.take_commit()
    database.file.veto = refuse
    with pytest.raises(Unavailable):
        run(database, "INSERT INTO t VALUES(2)")
    assert database.take_commit() is None
    if reads_afterwards:
        assert run(database, "SELECT a FROM t") == [(1,)]
    database.close()
