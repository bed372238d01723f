"""SQLite's errors, translated at the edge: who is at fault, and whether the image may live on.

A wrong request keeps its SQLite name, the byte offset of the mistake and the statement's index in `details`. Failed
memory or I/O leaves SQLite in a state that an in-memory journal cannot repair for certain: DatabaseBroken, and the
activation rebuilds the image.
"""

from __future__ import annotations

from collections.abc import Iterable

import apsw
import msgspec

from actors.database.deadline import BudgetExceeded, Deadline
from actors.database.guard import Guard
from actors.database.statement import Statement
from actors.errors import (
    ActivationEnded,
    ConstraintFailed,
    DatabaseBroken,
    DatabaseError,
    DatabaseFull,
    NotAuthorized,
    SqlError,
    StatementTimeout,
    TransactionEnded,
)
from actors.settings import DatabaseSettings
from storage.errors import HoldfastError

# What the binding of parameters raises, outside APSW's own tree.
_BINDING = (apsw.BindingsError, OverflowError, UnicodeEncodeError, TypeError, KeyError)
_BROKEN = (
    apsw.IOError,
    apsw.NoMemError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.InternalError,
    apsw.MisuseError,
)
_INT64_MIN, _INT64_MAX = -(1 << 63), (1 << 63) - 1


class Place(msgspec.Struct, frozen=True):
    """Where in a batch something failed: `sql` starts `offset` bytes into the text of statement number `index`."""

    statement: Statement | None = None
    sql: str = ""
    names: tuple[str | None, ...] = ()
    offset: int = 0
    index: int = 0


class Failures:
    """Translates for one connection: only its guard and its deadline know why SQLite was stopped."""

    __slots__ = ("_deadline", "_guard", "_settings")

    def __init__(self, guard: Guard, deadline: Deadline, settings: DatabaseSettings) -> None:
        self._guard = guard
        self._deadline = deadline
        self._settings = settings

    def translate(self, error: BaseException, place: Place, *, ended: bool) -> BaseException:
        """What to raise for `error`, or `error` itself. `ended`: it took the whole transaction with it."""
        refusal = self._guard.take_refusal()
        stopped = self._deadline.take()
        if isinstance(error, HoldfastError | BudgetExceeded) or not isinstance(error, Exception):
            return error
        if isinstance(error, apsw.InterruptError):
            return self._interrupted(stopped, place)
        translated = _wrong_text(error, place) or _wrong_binding(error, place)
        if translated is not None:
            return translated
        if not isinstance(error, apsw.Error):
            if place.statement is None:
                return error  # the system's own work raised it
            return DatabaseBroken(f"the database failed: {type(error).__name__}: {error}")
        translated = _translate_sqlite(error, refusal, place)
        if ended and isinstance(translated, ConstraintFailed):
            return TransactionEnded(f"ended the transaction: {translated.message}", details=translated.details)
        return translated

    def _interrupted(self, stopped: str | None, place: Place) -> Exception:
        if stopped == "budget":
            return BudgetExceeded()
        if stopped == "deadline":
            seconds = self._settings.statement_deadline_s
            return StatementTimeout(f"the statement ran longer than {seconds:g} s", details={"statement": place.index})
        return ActivationEnded("the statement was interrupted; nothing of it was kept")


def sqlite_code(error: apsw.Error) -> str:
    """SQLite's name of the extended result, e.g. SQLITE_CONSTRAINT_PRIMARYKEY."""
    extended = getattr(error, "extendedresult", 1)
    name = apsw.mapping_extended_result_codes.get(extended) or apsw.mapping_result_codes.get(extended & 0xFF)
    return str(name or "SQLITE_ERROR")


def explain_parameters(params: object, names: tuple[str | None, ...], index: int) -> HoldfastError | None:
    """The error in `params` for a statement with parameters `names`, or None if nothing is wrong with them."""
    wrong = _wrong_shape(params, names)
    if wrong is None:
        wrong = next(
            (f"parameter {name}: {why}" for name, value in _named(params) if (why := _wrong_value(value))), None
        )
    return None if wrong is None else SqlError(wrong, details={"sqlite": "SQLITE_MISUSE", "statement": index})


def _wrong_shape(params: object, names: tuple[str | None, ...]) -> str | None:
    prefix = "wrong number of parameter bindings: "
    if isinstance(params, dict):
        wanted = {name for name in names if name is not None}
        if None in names:
            return f"{prefix}a parameter of the statement has no name, a list is needed"
        if wanted != set(params):
            missing, unknown = sorted(wanted - set(params)), sorted(map(str, set(params) - wanted))
            return f"{prefix}missing {missing}, not in the statement {unknown}"
        return None
    if params is not None and not isinstance(params, list | tuple):
        return f"parameters are a list or an object, found {type(params).__name__}"
    given = len(params or ())
    return None if given == len(names) else f"{prefix}the statement has {len(names)}, {given} given"


def _named(params: object) -> Iterable[tuple[object, object]]:
    if isinstance(params, dict):
        return params.items()
    return enumerate(params, 1) if isinstance(params, list | tuple) else ()


def _wrong_value(value: object) -> str | None:
    if isinstance(value, int) and not _INT64_MIN <= value <= _INT64_MAX:
        return "the integer is outside of 64 bits"
    if isinstance(value, str) and not _is_text(value):
        return "the text holds half a surrogate pair, which is no character"
    if value is not None and not isinstance(value, int | float | str | bytes):
        return f"{type(value).__name__} is no SQL value"
    return None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong_binding(error: Exception, place: Place) -> HoldfastError | None:
    if place.statement is None or not isinstance(error, _BINDING):
        return None
    return explain_parameters(place.statement.params, place.names, place.index)


def _wrong_text(error: Exception, place: Place) -> HoldfastError | None:
    details = {"statement": place.index}
    if isinstance(error, UnicodeDecodeError):
        return SqlError("a name or a message is no valid UTF-8", details=details)
    if isinstance(error, UnicodeEncodeError) and not _is_text(place.sql):
        return SqlError("the SQL text holds half a surrogate pair, which is no character", details=details)
    if isinstance(error, ValueError) and "null character" in str(error):
        return SqlError("the SQL text holds a NUL character", details=details)
    return None


def _translate_sqlite(error: apsw.Error, refusal: str | None, place: Place) -> DatabaseError:
    details: dict[str, object] = {"sqlite": sqlite_code(error), "statement": place.index}
    at = _offset(error, place.sql)
    if at is not None:
        details["offset"] = place.offset + at
    message = str(error)
    if refusal is not None:
        return NotAuthorized(refusal, details=details)
    if isinstance(error, apsw.AuthError):
        return NotAuthorized(message, details=details)
    if isinstance(error, apsw.ConstraintError):
        return ConstraintFailed(message, details=details)
    if isinstance(error, apsw.FullError):
        return DatabaseFull(f"{message}: the database reached its size limit", details=details)
    if isinstance(error, _BROKEN) and details["sqlite"] != "SQLITE_CORRUPT_VTAB":
        return DatabaseBroken(f"the database failed: {message}", details=details)
    return SqlError(message, details=details)


def _offset(error: apsw.Error, sql: str) -> int | None:
    at = getattr(error, "error_offset", -1)
    if isinstance(at, int) and at >= 0:
        return at
    return len(sql.encode()) if "incomplete input" in str(error) else None
