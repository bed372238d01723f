"""What is known of an SQL text before it runs: its first statement, parameters, columns, and whether it may run alone.

Found once per text through an execution trace that stops the statement before its first step, then kept until the
schema changes. A statement runs alone, without BEGIN and COMMIT around it, if nothing but its own success decides about
the commit: plain reads, pragmas (some mean nothing inside a transaction), and changes without RETURNING. The rest
(changes of the schema, whose names are looked at before the commit; RETURNING, whose rows may prove too many) run
inside a transaction.
"""

from __future__ import annotations

import re

import apsw
import msgspec

from actors.errors import NotAuthorized

_FIRST_WORD = re.compile(r"(?:[\s;]|--[^\n]*\n|/\*.*?\*/)*([A-Za-z]*)", re.DOTALL)
_FAIL = re.compile(r"\bfail\b", re.IGNORECASE)
_CHANGES = frozenset({"insert", "replace", "update", "delete", "with"})
_BLANK = " \t\r\n\f;"
_NOTHING_BOUND = apsw._null_bindings  # type: ignore[attr-defined]


def may_fail_partly(sql: str) -> bool:
    """Whether a text may hold `OR FAIL`, `ON CONFLICT FAIL` or `RAISE(FAIL, …)`: what ran before the error is kept."""
    return _FAIL.search(sql) is not None


class Plan(msgspec.Struct, frozen=True):
    """`text`: the first statement as SQLite delimited it; `whole`: nothing follows it.

    `changes`: INSERT, UPDATE or DELETE. `alone`: may run without a transaction around it.
    """

    text: str
    whole: bool
    empty: bool
    columns: tuple[str, ...]
    parameters: int
    names: tuple[str | None, ...]
    readonly: bool
    changes: bool
    alone: bool

    @property
    def touches_schema(self) -> bool:
        """Whether column names known so far may be stale after it ran."""
        return not self.readonly and not self.changes


class Planner:
    """Prepares statements of one connection without running them."""

    __slots__ = ("_connection", "_found")

    def __init__(self, connection: apsw.Connection) -> None:
        self._found: Plan | None = None
        self._connection = connection

    def plan(self, sql: str, *, cached: bool = True) -> Plan:
        """The plan of `sql`'s first statement. Raises apsw.Error as preparing does, NotAuthorized for VACUUM."""
        self._found = None
        # A cursor of its own, closed at once: only then does the cache have the statement for whoever runs it.
        cursor = self._connection.cursor()
        cursor.exec_trace = self._look
        try:
            cursor.execute(sql, _NOTHING_BOUND, can_cache=cached)
        except apsw.ExecTraceAbort:
            pass
        finally:
            cursor.close(True)
        found = self._found
        if found is None:
            return _NOTHING
        rest = sql[len(found.text) :]
        if rest.strip(_BLANK):
            return msgspec.structs.replace(found, whole=False, alone=False)
        return found

    def _look(self, cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        match = _FIRST_WORD.match(sql)
        word = match.group(1).lower() if match else ""
        columns = tuple([column[0] for column in cursor.description])
        readonly = cursor.is_readonly
        changes = not readonly and word in _CHANGES
        empty = not cursor.has_vdbe
        if word == "vacuum":  # the authorizer is not asked about it
            raise NotAuthorized("not authorized: VACUUM, the service looks after the file itself")
        self._found = Plan(
            text=sql,
            whole=True,
            empty=empty,
            columns=columns,
            parameters=cursor.bindings_count,
            names=cursor.bindings_names,
            readonly=readonly,
            changes=changes,
            alone=not empty
            and (readonly or word == "pragma" or (changes and not columns and not may_fail_partly(sql))),
        )
        return False


_NOTHING = Plan("", True, True, (), 0, (), True, False, False)
