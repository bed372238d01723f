"""FastAPI over PostgreSQL: one database for all users, a pool of connections, statements prepared once.

The user is every statement's $1, as a user column's is in an application without row-level security.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from bench.peers.python_app import Run, Step

POOL_MIN, POOL_MAX = 8, 16


class SharedDatabase:
    """Runs statements on connections of the pool; asyncpg caches prepared statements per connection."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def run(self, user: str, steps: list[Step]) -> list[dict[str, Any]]:
        """A single statement commits by itself; several are one transaction."""
        async with self._pool.acquire() as connection:
            if len(steps) == 1:
                return [await _execute(connection, user, steps[0])]
            async with connection.transaction():
                return [await _execute(connection, user, step) for step in steps]


async def _execute(connection: Any, user: str, step: Step) -> dict[str, Any]:
    sql, params = step
    if "$1" not in sql:  # literals: what fills a database before it is measured
        await connection.execute(sql)
        return {"columns": [], "rows": [], "changes": 0}
    if not sql.startswith("SELECT"):
        tag = await connection.execute(sql, user, *params)
        return {"columns": [], "rows": [], "changes": int(tag.rsplit(" ", 1)[1])}
    records = await connection.fetch(sql, user, *params)
    columns = list(records[0].keys()) if records else []
    return {"columns": columns, "rows": [tuple(record) for record in records], "changes": 0}


def opened(socket_folder: str, port: int) -> Any:
    """For `build_app`. The connection is a Unix socket, PostgreSQL's fastest."""

    @asynccontextmanager
    async def manager() -> AsyncIterator[Run]:
        async with asyncpg.create_pool(
            host=socket_folder, port=port, user="bench", database="bench", min_size=POOL_MIN, max_size=POOL_MAX
        ) as pool:
            yield SharedDatabase(pool).run

    return manager
