"""The reserved names' second lock: read the schema after it changed, before the commit.

Stock SQLite does not tell the authorizer the new name of ALTER TABLE … RENAME TO, nor whom a REFERENCES clause, a view
or a trigger names. So after user SQL changed the schema, inside the same transaction: the system's own entries must be
exactly the ones of before, and no other entry may name `_cf_` anything (an identifier in any quotes or case; longer
words such as `my_cf_x` and comments are free).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from actors.database.guard import RESERVED_PREFIX, is_reserved
from actors.errors import NotAuthorized

Entry = tuple[str, str, str | None]

_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?(?:\*/|\Z)"""
    r"""|'((?:[^']|'')*)'|"((?:[^"]|"")*)"|`((?:[^`]|``)*)`|\[([^\]]*)\]"""
    r"""|([A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)""",
    re.DOTALL,
)
SYSTEM_ENTRIES_SQL = (
    "SELECT name, tbl_name, sql FROM sqlite_schema WHERE lower(substr(name, 1, 4)) = '_cf_' ORDER BY name"
)
_SUSPECTS_SQL = (
    "SELECT name, tbl_name, sql FROM sqlite_schema WHERE lower(substr(name, 1, 4)) <> '_cf_' "
    "AND (lower(substr(tbl_name, 1, 4)) = '_cf_' OR instr(lower(sql), '_cf_') > 0)"
)

Query = Callable[[str], Sequence[Sequence[object]]]


def system_entries(query: Query) -> tuple[Entry, ...]:
    """The system's entries of the schema, as `check_schema` wants to find them again."""
    return tuple(_entry(row) for row in query(SYSTEM_ENTRIES_SQL))


def check_schema(query: Query, expected: tuple[Entry, ...]) -> None:
    """Raise NotAuthorized if user SQL took, changed or named a system name."""
    found = system_entries(query)
    if found != expected:
        changed = sorted({entry[0] for entry in set(found) ^ set(expected)})
        raise NotAuthorized(
            f"not authorized: {', '.join(changed)}, names that begin with {RESERVED_PREFIX} are the system's"
        )
    for row in query(_SUSPECTS_SQL):
        name, _, sql = _entry(row)
        # SQLite keeps indexes of system tables under names of its own (sqlite_autoindex__cf_…), without SQL.
        if sql is not None and (named := reserved_name_in(sql)) is not None:
            raise NotAuthorized(
                f"not authorized: {name} names {named}; names that begin with {RESERVED_PREFIX} are the system's"
            )


def reserved_name_in(sql: str) -> str | None:
    """The first reserved name that a definition mentions, or None."""
    return next((word for word in identifiers(sql) if is_reserved(word)), None)


def identifiers(sql: str) -> Iterable[str]:
    """Words and quoted names of an SQL text, comments left out. SQLite takes 'quoted' text for names too."""
    for match in _TOKEN.finditer(sql):
        if match.lastindex is not None:
            yield match.group(match.lastindex)


def _entry(row: Sequence[object]) -> Entry:
    name, table, sql = row
    return str(name), str(table), None if sql is None else str(sql)
