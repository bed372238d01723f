"""Records in a table of a user's database, read and rewritten through the running service.

Through its front door, so that it works in whatever mode the user is served, and every rewrite is a transaction of the
database's one writer. A key is switched only where the row still has the old one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from holdfast.service_client import ServiceClient, database_path
from migrate.layout.media_record import Switch
from storage.errors import InvalidRequest

COLUMNS = ("user_id", "project_id", "scene_id", "type", "storage_key")
SWITCHES_AT_ONCE = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class MediaTable:
    """Rows of `table` with the columns of COLUMNS that it has; `project_id` and `storage_key` are needed.

    Rows without `user_id` are the user's own.
    """

    def __init__(self, client: ServiceClient, user: str, profile: str | None, table: str) -> None:
        if not _NAME.match(table):
            raise InvalidRequest(f"table {table!r}: expected the plain name of a table")
        self._client = client
        self._user = user
        self._path = f"{database_path(user, profile)}/sql"
        self._table = table
        self._row_ids: list[int] = []

    @property
    def name(self) -> str:
        return f"{self._user}/{self._table}"

    async def read(self) -> Sequence[dict[str, Any]]:
        """All rows, in the order of their rowid. Raises InvalidRequest when columns are missing."""
        names = {str(row[0]) for row in await self._rows(f"SELECT name FROM pragma_table_info('{self._table}')")}
        columns = [name for name in COLUMNS if name in names]
        if not {"project_id", "storage_key"} <= set(columns):
            raise InvalidRequest(f"table {self._table}: expected columns project_id and storage_key")
        rows = await self._rows(f'SELECT rowid, {", ".join(columns)} FROM "{self._table}" ORDER BY rowid')
        self._row_ids = [int(row[0]) for row in rows]
        return [{"user_id": self._user, **_given(columns, row[1:])} for row in rows]

    async def switch(self, switches: Sequence[Switch]) -> None:
        sql = f'UPDATE "{self._table}" SET storage_key = ? WHERE rowid = ? AND storage_key = ?'
        for start in range(0, len(switches), SWITCHES_AT_ONCE):
            batch = switches[start : start + SWITCHES_AT_ONCE]
            statements = [{"sql": sql, "params": [s.new, self._row_ids[s.index], s.old]} for s in batch]
            await self._call({"statements": statements})

    async def _rows(self, sql: str) -> list[list[Any]]:
        answer = await self._call({"sql": sql})
        rows: list[list[Any]] = answer["results"][0]["rows"]
        return rows

    async def _call(self, body: dict[str, Any]) -> Any:
        return await asyncio.to_thread(
            lambda: self._client.call("POST", self._path, json=body, headers={"holdfast-durability": "r2"})
        )


def _given(columns: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return {name: value for name, value in zip(columns, values, strict=True) if value is not None}
