"""SQLite's errors as ours: whose fault it was, and whether the image may live on."""

from __future__ import annotations

import apsw
import pytest

from actors.database.deadline import BudgetExceeded, Deadline
from actors.database.failure import Failures, Place, sqlite_code
from actors.database.guard import Guard
from actors.database.statement import Statement
from actors.errors import (
    ConstraintFailed,
    DatabaseBroken,
    DatabaseFull,
    NotAuthorized,
    ResultTooLarge,
    SqlError,
    TransactionEnded,
)
from tests.actors.database.factory import SETTINGS

PLACE = Place(Statement("SELECT 1"), "SELECT 1", (), 40, 3)


def translated(
    error: BaseException, *, place: Place = PLACE, ended: bool = False, refusal: str | None = None
) -> BaseException:
    guard = Guard()
    guard.refusal = refusal
    return Failures(guard, Deadline(5.0, lambda: 0.0), SETTINGS).translate(error, place, ended=ended)


def an_error(kind: type[apsw.Error], extended: int, offset: int = -1) -> apsw.Error:
    error = kind("what SQLite says")
    error.extendedresult, error.error_offset = extended, offset  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (an_error(apsw.SQLError, 1), SqlError),
        (an_error(apsw.ConstraintError, 2067), ConstraintFailed),
        (an_error(apsw.AuthError, 23), NotAuthorized),
        (an_error(apsw.FullError, 13), DatabaseFull),
        (an_error(apsw.TooBigError, 18), SqlError),
        (an_error(apsw.MismatchError, 20), SqlError),
        (an_error(apsw.ReadOnlyError, 8), SqlError),
        (an_error(apsw.LockedError, 6), SqlError),
        (an_error(apsw.CorruptError, 267), SqlError),
        (an_error(apsw.CorruptError, 11), DatabaseBroken),
        (an_error(apsw.NoMemError, 7), DatabaseBroken),
        (an_error(apsw.IOError, 10), DatabaseBroken),
        (an_error(apsw.IOError, 266), DatabaseBroken),
        (an_error(apsw.CantOpenError, 14), DatabaseBroken),
        (an_error(apsw.NotADBError, 26), DatabaseBroken),
        (OSError("disk"), DatabaseBroken),
        (MemoryError(), DatabaseBroken),
    ],
)
def test_each_kind(error: Exception, ours: type[Exception]) -> None:
    result = translated(error)
    assert type(result) is ours


def test_details_say_sqlites_name_the_statement_and_the_offset_in_the_whole_text() -> None:
    result = translated(an_error(apsw.SQLError, 1, offset=5))
    assert isinstance(result, SqlError)
    assert result.details == {"sqlite": "SQLITE_ERROR", "statement": 3, "offset": 45}
    assert result.message == "what SQLite says"


def test_the_guards_reason_comes_first() -> None:
    result = translated(an_error(apsw.SQLError, 1), refusal="not authorized: mine")
    assert isinstance(result, NotAuthorized)
    assert result.message == "not authorized: mine"


def test_a_constraint_that_took_the_transaction_along_says_so() -> None:
    assert isinstance(translated(an_error(apsw.ConstraintError, 2067), ended=True), TransactionEnded)
    assert isinstance(translated(an_error(apsw.FullError, 13), ended=True), DatabaseFull)


def test_our_own_errors_and_the_systems_pass_as_they_are() -> None:
    for error in (ResultTooLarge("x"), BudgetExceeded(), KeyboardInterrupt()):
        assert translated(error) is error
    mine = ValueError("mine")
    assert translated(mine, place=Place()) is mine


@pytest.mark.parametrize(
    ("extended", "name"), [(1555, "SQLITE_CONSTRAINT_PRIMARYKEY"), (20, "SQLITE_MISMATCH"), (99999, "SQLITE_ERROR")]
)
def test_codes_have_sqlites_names(extended: int, name: str) -> None:
    assert sqlite_code(an_error(apsw.SQLError, extended)) == name
