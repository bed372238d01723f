"""Plain SQLite over an image: what every guarded answer is measured against."""

from __future__ import annotations

import apsw
import pytest

from actors.database.image import PageImage
from actors.database.plain_read import plain_read
from actors.database.statement import Batch, Statement, a_batch
from actors.errors import ResultTooLarge
from actors.settings import DatabaseSettings
from storage.clock import SystemClock

SETTINGS = DatabaseSettings(result_rows_max=3)


def an_image() -> PageImage:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t(a); INSERT INTO t VALUES(1), (2), (3); CREATE TABLE _cf_own(b)")
    return PageImage.from_bytes(connection.serialize("main"))


def read(batch: Batch) -> list[tuple[tuple[str, ...], list[tuple[object, ...]]]]:
    result = plain_read(an_image(), batch, SETTINGS, SystemClock().now)
    return [(each.columns, list(each.rows)) for each in result.results]


def test_each_statement_is_answered_and_of_one_text_the_last() -> None:
    batch = Batch((Statement("SELECT 7; SELECT a AS x FROM t WHERE a > ?", [2]), Statement("SELECT a FROM t WHERE 0")))
    assert read(batch) == [(("x",), [(3,)]), (("a",), [])]


def test_no_guard_hides_anything() -> None:
    assert read(a_batch("SELECT b FROM _cf_own")) == [(("b",), [])]


def test_the_image_stays_as_it_was() -> None:
    image = an_image()
    before = image.to_bytes()
    plain_read(image, a_batch("DELETE FROM t"), SETTINGS, SystemClock().now)
    assert image.to_bytes() == before


def test_rows_are_bounded() -> None:
    with pytest.raises(ResultTooLarge):
        read(a_batch("SELECT a FROM t UNION ALL SELECT a FROM t"))
