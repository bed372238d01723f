"""Files into images and back: system tables come along, whatever the page size; odd files are told by their reason."""

from __future__ import annotations

from typing import Any

import apsw
import pytest

from actors.settings import DatabaseSettings
from migrate.comparison import compare
from migrate.errors import NotVerified, Quarantined
from migrate.imaging import body_for_reopening, image_for_import, inspect_file
from migrate.verification import verify_import, verify_rows
from storage.r2_sqlite.file_state import FileState, Mode, read_state, with_state
from tests.migrate.kit import PAGE_SIZE, a_file

SETTINGS = DatabaseSettings(page_size=PAGE_SIZE)
SEALED = FileState(Mode.SEALING, 3, "nonce", ("p1", "p2"))


def rows(body: bytes, sql: str) -> list[Any]:
    connection = apsw.Connection(":memory:")
    try:
        connection.deserialize("main", body)
        return connection.execute(sql).fetchall()
    finally:
        connection.close(True)


def a_sealed_file(*statements: str, page_size: int = PAGE_SIZE) -> bytes:
    return with_state(a_file("INSERT INTO t VALUES (5)", *statements, page_size=page_size), SEALED)


@pytest.mark.parametrize("page_size", [512, 1024, 4096])
def test_an_import_holds_rows_state_and_ring_whatever_the_page_size(page_size: int) -> None:
    body = a_sealed_file(page_size=page_size)
    image = image_for_import(body, SETTINGS)
    assert image.page_size == PAGE_SIZE and read_state(image.to_bytes()) == SEALED
    assert compare(body, image.to_bytes()).difference is None
    assert verify_import(body, image).tables["t"].rows == 1


def test_what_the_system_remembers_comes_along_in_both_directions() -> None:
    body = a_sealed_file(
        "CREATE TABLE _cf_idempotency (key TEXT PRIMARY KEY, digest BLOB, at REAL, reply BLOB) WITHOUT ROWID",
        "INSERT INTO _cf_idempotency VALUES ('k', 'd', 1.0, x'00')",
        "CREATE TABLE _cf_later (x)",
        "INSERT INTO _cf_later VALUES (1)",
    )
    back = body_for_reopening(image_for_import(body, SETTINGS))
    assert rows(back, "SELECT key, digest FROM _cf_idempotency") == [("k", "d")]
    assert rows(back, "SELECT x FROM _cf_later") == [(1,)]


def test_a_file_of_before_may_not_use_reserved_names_but_those_of_r2_mode() -> None:
    with pytest.raises(Quarantined, match="_cf_mine"):
        inspect_file(a_file("CREATE TABLE _cf_mine (x)"), SETTINGS)
    assert inspect_file(a_file("CREATE TABLE _cf_meta (key, value)"), SETTINGS).tables == 1
    assert inspect_file(with_state(a_file("CREATE TABLE _cf_later (x)"), FileState(gen=2)), SETTINGS).state.gen == 2


def test_an_empty_file_is_an_empty_database() -> None:
    assert inspect_file(b"", SETTINGS).size == 0


@pytest.mark.parametrize("change", ["UPDATE t SET n = 6", "DELETE FROM t", "CREATE TABLE u (x)"])
def test_rule_17_a_log_that_gives_something_else_is_not_verified(change: str) -> None:
    body = a_sealed_file()
    image = image_for_import(a_sealed_file(change), SETTINGS)
    with pytest.raises(NotVerified):
        verify_import(body, image)
    with pytest.raises(NotVerified):
        verify_rows(body, image.to_bytes())


def test_rule_17_a_ring_that_differs_is_not_verified() -> None:
    body = a_sealed_file()
    image = image_for_import(with_state(body, FileState(Mode.SEALING, 3, "nonce", ("p1",))), SETTINGS)
    with pytest.raises(NotVerified, match="ring"):
        verify_import(body, image)


def test_rule_17_a_log_that_gives_nothing_is_not_verified() -> None:
    with pytest.raises(NotVerified):
        verify_import(a_sealed_file(), None)
