"""A rebuilt image as a file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.archive.database_file import write_database
from storage.errors import CorruptSegment
from storage.log.rebuild import Image
from tests.holdfast.archive.a_log import PAGE_SIZE, STEPS, pages_of


def tables(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]


def test_system_tables_are_left_out_unless_the_image_is_wanted_as_it_is(tmp_path: Path) -> None:
    image = Image(1, PAGE_SIZE, pages_of(STEPS))
    write_database(image, tmp_path / "plain.sqlite")
    assert tables(tmp_path / "plain.sqlite") == ["clips"]
    size = write_database(image, tmp_path / "raw.sqlite", raw=True)
    assert (tmp_path / "raw.sqlite").read_bytes() == image.to_bytes()
    assert size == len(image.to_bytes())


def test_an_image_that_is_no_database_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(CorruptSegment):
        write_database(Image(1, PAGE_SIZE, [b"x" * PAGE_SIZE]), tmp_path / "a.sqlite")
    assert list(tmp_path.iterdir()) == []
