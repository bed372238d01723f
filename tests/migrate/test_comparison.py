"""Databases compared: equal ones are equal, and every kind of difference is named with its first row."""

from __future__ import annotations

import pytest

from migrate.comparison import compare, digest_file
from storage.errors import CorruptObject
from tests.migrate.kit import a_file

BASE = (
    "CREATE TABLE g (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, score REAL, data BLOB)",
    "CREATE INDEX by_name ON g (name)",
    "INSERT INTO g (name, score, data) VALUES ('a', 1.0, x'00'), ('b', 2, x'01'), (NULL, NULL, NULL)",
    "PRAGMA user_version = 7",
    "PRAGMA application_id = 9",
)


@pytest.mark.parametrize("page_size", [512, 4096])
def test_equal_contents_are_equal_whatever_the_pages(page_size: int) -> None:
    assert compare(a_file(*BASE), a_file(*BASE, page_size=page_size)).difference is None


def test_the_systems_tables_do_not_count() -> None:
    system = ("CREATE TABLE _cf_meta (key, value)", "INSERT INTO _cf_meta VALUES (1, 2)")
    assert compare(a_file(*BASE), a_file(*BASE, *system)).difference is None
    assert digest_file(a_file(*BASE)) == digest_file(a_file(*BASE, *system))


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("UPDATE g SET name = 'c' WHERE id = 2", "table g: row 2: (2, 'b', 2.0, b'\\x01') in the file"),
        ("DELETE FROM g WHERE id = 3", "no row in the log"),
        ("INSERT INTO g (name) VALUES ('x')", "row 4: no row in the file, (4, 'x', None, None) in the log"),
        ("INSERT INTO t VALUES (1)", "table t: row 1: no row in the file, (1) in the log"),
        ("CREATE TABLE more (x)", "schema: table more differs"),
        ("DROP INDEX by_name", "schema: index by_name differs"),
        ("PRAGMA user_version = 8", "user_version: 7 in the file, 8 in the log"),
        ("PRAGMA application_id = 8", "application_id: 9 in the file, 8 in the log"),
        ("UPDATE sqlite_sequence SET seq = 99", "table sqlite_sequence: row 1"),
    ],
)
def test_the_first_difference_is_named(change: str, difference: str) -> None:
    found = compare(a_file(*BASE), a_file(*BASE, change)).difference
    assert found is not None and difference in found


@pytest.mark.parametrize(
    ("left", "right"), [("1", "1.0"), ("'1'", "1"), ("'a'", "x'61'"), ("NULL", "''"), ("0.1", "0.1+1e-16")]
)
def test_types_and_last_bits_count(left: str, right: str) -> None:
    table = "CREATE TABLE v (x)"
    first, second = (a_file(table, f"INSERT INTO v VALUES ({value})") for value in (left, right))
    assert compare(first, second).difference is not None
    assert compare(first, first).difference is None


def test_a_damaged_copy_is_told_by_its_integrity() -> None:
    body = bytearray(a_file(*BASE, "INSERT INTO g (name) SELECT hex(randomblob(40)) FROM g, g AS h"))
    at = len(body) - 512
    body[at : at + 64] = b"\xff" * 64
    with_damage = bytes(body)
    try:
        assert compare(a_file(*BASE), with_damage).difference is not None
    except CorruptObject:
        pass


def test_what_is_no_database_is_corrupt() -> None:
    with pytest.raises(CorruptObject):
        digest_file(b"x" * 1024)
