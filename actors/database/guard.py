"""What user SQL may touch: the authorizer, its lists, and the limits of a connection.

SQLite asks the authorizer while it prepares a statement, never while it runs one, so a cached statement costs nothing.
Everything not listed is refused. System tables begin with `_cf_` in any case, and user SQL reaches them neither to read
nor to write; what shows of them is their definition in `sqlite_schema` and the `table_list` pragma. Two ways in that
the authorizer cannot see (ALTER … RENAME TO, REFERENCES) are closed by `reserved.py` before the commit.

The guard is lifted by a flag, not by another authorizer: changing that would throw all prepared statements away. System
statements are prepared with a flag of their own, so a cached one is never found by user SQL of the same text.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw

from actors.database.guard_list import (
    FUNCTIONS,
    MODULES,
    PRAGMAS_ANY,
    PRAGMAS_BOOLEAN,
    PRAGMAS_OBJECT,
    PRAGMAS_OBJECT_OR_NUMBER,
    PRAGMAS_READ,
    REFUSED_TABLES,
    TRUTH_WORDS,
)
from actors.settings import DatabaseSettings

RESERVED_PREFIX = "_cf_"
_TEMP_SCHEMAS = frozenset({"sqlite_temp_master", "sqlite_temp_schema"})

_Answer = Callable[[str | None, str | None, str | None], int]

OK = apsw.SQLITE_OK
DENY = apsw.SQLITE_DENY
IGNORE = apsw.SQLITE_IGNORE


def is_reserved(name: str | None) -> bool:
    """Whether a name belongs to the system."""
    return name is not None and name[:4].lower() == RESERVED_PREFIX


class Guard:
    """The authorizer of one connection; `lifted` lets the system's own SQL through. `refusal`: why it last said no."""

    __slots__ = ("lifted", "refusal")

    def __init__(self) -> None:
        self.lifted = False
        self.refusal: str | None = None

    def __call__(
        self, operation: int, first: str | None, second: str | None, schema: str | None, trigger: str | None
    ) -> int:
        if self.lifted:
            return OK
        answer = _ANSWERS.get(operation, _never)(first, second, schema)
        if answer == DENY and self.refusal is None:
            self.refusal = _reason(operation, first, second)
        return answer

    def take_refusal(self) -> str | None:
        """Why the statement was refused, in our words."""
        refusal, self.refusal = self.refusal, None
        return refusal


def limit(connection: apsw.Connection, settings: DatabaseSettings) -> None:
    """Set what SQLite itself bounds and forbids."""
    for limited, value in (
        (apsw.SQLITE_LIMIT_LENGTH, settings.value_bytes_max),
        (apsw.SQLITE_LIMIT_SQL_LENGTH, settings.sql_bytes_max),
        (apsw.SQLITE_LIMIT_COLUMN, settings.columns_max),
        (apsw.SQLITE_LIMIT_EXPR_DEPTH, settings.expression_depth_max),
        (apsw.SQLITE_LIMIT_COMPOUND_SELECT, settings.compound_select_max),
        (apsw.SQLITE_LIMIT_VDBE_OP, settings.vdbe_ops_max),
        (apsw.SQLITE_LIMIT_FUNCTION_ARG, 127),
        (apsw.SQLITE_LIMIT_ATTACHED, 0),
        (apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, settings.like_pattern_bytes_max),
        (apsw.SQLITE_LIMIT_VARIABLE_NUMBER, settings.parameters_max),
        (apsw.SQLITE_LIMIT_TRIGGER_DEPTH, settings.trigger_depth_max),
        (apsw.SQLITE_LIMIT_WORKER_THREADS, 0),
    ):
        connection.limit(limited, value)


def harden(connection: apsw.Connection) -> None:
    """Switch off what user SQL must never have, whatever the authorizer says."""
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, 0)
    connection.config(apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0)


def _never(first: str | None, second: str | None, schema: str | None) -> int:
    return DENY


def _always(first: str | None, second: str | None, schema: str | None) -> int:
    return OK


def _main_names(first: str | None, second: str | None, schema: str | None) -> int:
    """An object of the main schema whose names are the user's (object and, for indexes and triggers, its table)."""
    return DENY if is_reserved(first) or is_reserved(second) or schema != "main" else OK


def _written(first: str | None, second: str | None, schema: str | None) -> int:
    """A table that rows are written to. SQLite's ALTER TABLE looks through the (always empty) temporary schema."""
    if schema == "temp":
        return OK if first in _TEMP_SCHEMAS else DENY
    return DENY if is_reserved(first) or schema != "main" else OK


def _read(first: str | None, second: str | None, schema: str | None) -> int:
    if schema == "temp":
        return OK if first in _TEMP_SCHEMAS else DENY
    if schema not in ("main", None) or first is None:
        return DENY
    return DENY if is_reserved(first) or first.lower() in REFUSED_TABLES else OK


def _altered(schema: str | None, table: str | None, _: str | None) -> int:
    return DENY if is_reserved(table) or schema != "main" else OK


def _analyzed(table: str | None, second: str | None, schema: str | None) -> int:
    """System tables are left out of ANALYZE without failing it."""
    return IGNORE if is_reserved(table) else OK


def _virtual(table: str | None, module: str | None, schema: str | None) -> int:
    allowed = module is not None and module.lower() in MODULES
    return OK if allowed and not is_reserved(table) and schema == "main" else DENY


def _function(_: str | None, name: str | None, schema: str | None) -> int:
    return OK if name is not None and name.lower() in FUNCTIONS else DENY


def _pragma(name: str | None, argument: str | None, schema: str | None) -> int:
    name = (name or "").lower()
    if schema not in (None, "main"):
        return DENY
    if name in PRAGMAS_READ:
        return OK if argument is None else DENY
    if name in PRAGMAS_BOOLEAN:
        return OK if argument is None or argument.strip().strip("'\"").strip().lower() in TRUTH_WORDS else DENY
    if name in PRAGMAS_OBJECT:
        return DENY if argument is None or is_reserved(argument) else OK
    if name in PRAGMAS_OBJECT_OR_NUMBER:
        return DENY if is_reserved(argument) else OK
    return OK if name in PRAGMAS_ANY else DENY


def _reason(operation: int, first: str | None, second: str | None) -> str:
    if operation in (apsw.SQLITE_TRANSACTION, apsw.SQLITE_SAVEPOINT):
        return "BEGIN, COMMIT, ROLLBACK and SAVEPOINT are not for SQL text: send `statements`, they are one transaction"
    if operation == apsw.SQLITE_FUNCTION:
        return f"not authorized to use function {second}"
    if operation == apsw.SQLITE_PRAGMA:
        return f"not authorized: PRAGMA {first}" + ("" if second is None else f" with {second!r}")
    if operation == apsw.SQLITE_CREATE_VTABLE and not is_reserved(first):
        return f"not authorized: virtual tables of module {second}; there are {', '.join(sorted(MODULES))}"
    reserved = next((name for name in (first, second) if is_reserved(name)), None)
    if reserved is not None:
        return f"not authorized: {reserved}, names that begin with {RESERVED_PREFIX} are the system's"
    what = str(apsw.mapping_authorizer_function[operation]).removeprefix("SQLITE_").replace("_", " ")
    name = f" {first}" if first else ""
    return f"not authorized: {what}{name}"


_ANSWERS: dict[int, _Answer] = {
    apsw.SQLITE_SELECT: _always,
    apsw.SQLITE_RECURSIVE: _always,
    apsw.SQLITE_READ: _read,
    apsw.SQLITE_INSERT: _written,
    apsw.SQLITE_UPDATE: _written,
    apsw.SQLITE_DELETE: _written,
    apsw.SQLITE_FUNCTION: _function,
    apsw.SQLITE_PRAGMA: _pragma,
    apsw.SQLITE_CREATE_TABLE: _main_names,
    apsw.SQLITE_CREATE_INDEX: _main_names,
    apsw.SQLITE_CREATE_VIEW: _main_names,
    apsw.SQLITE_CREATE_TRIGGER: _main_names,
    apsw.SQLITE_DROP_TABLE: _main_names,
    apsw.SQLITE_DROP_INDEX: _main_names,
    apsw.SQLITE_DROP_VIEW: _main_names,
    apsw.SQLITE_DROP_TRIGGER: _main_names,
    apsw.SQLITE_ALTER_TABLE: _altered,
    apsw.SQLITE_REINDEX: _main_names,
    apsw.SQLITE_ANALYZE: _analyzed,
    apsw.SQLITE_CREATE_VTABLE: _virtual,
    apsw.SQLITE_DROP_VTABLE: _virtual,
}
