"""SQL of the system itself, inside a transaction of a database, past the guard.

Its statements are prepared with a flag of their own: the statement cache keeps them apart from user SQL of the same
text.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

SYSTEM_PREPARE = apsw.SQLITE_PREPARE_PERSISTENT


class SystemSql:
    """Handed to whoever adds to a transaction; of no use after it."""

    __slots__ = ("_connection",)

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, params: Sequence[apsw.SQLiteValue] = ()) -> list[tuple[apsw.SQLiteValue, ...]]:
        """All rows of `sql` (several statements are allowed without parameters). Raises apsw.Error."""
        return self._connection.execute(sql, params, prepare_flags=SYSTEM_PREPARE).fetchall()

    def changes(self) -> int:
        """Rows that the last change wrote."""
        return self._connection.changes()
