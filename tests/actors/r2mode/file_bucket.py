"""R2 mode over a held store: one gateway's router, and short ways to ask it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from actors.call import Op, Reply
from actors.durability.offload import inline
from actors.r2mode.router import R2Router
from actors.settings import ActorSettings, DatabaseSettings
from storage.r2_sqlite.files import R2Files
from storage.r2_sqlite.settings import R2ModeSettings
from tests.actors.virtual_time import VirtualClock
from tests.storage.r2_sqlite.bucket import ADDRESS, ENV, KEY, HeldFiles

__all__ = ["ADDRESS", "ENV", "KEY", "Asker", "HeldFiles", "an_asker"]


@dataclass(slots=True)
class Asker:
    """A router and the store under it."""

    router: R2Router
    store: HeldFiles

    async def call(
        self,
        op: Op,
        args: Mapping[str, object] | None = None,
        body: bytes = b"",
        *,
        stream: AsyncIterator[bytes] | None = None,
        create: bool = True,
    ) -> Reply:
        return await self.router.call(ADDRESS, op, args or {}, body, stream=stream, create=create)

    async def sql(self, sql: str, *params: object, **args: object) -> dict[str, Any]:
        """The decoded answer to one statement."""
        reply = await self.call(Op.SQL, args, msgspec.json.encode({"sql": sql, "params": params}))
        answer: dict[str, Any] = msgspec.json.decode(reply.body)
        return answer

    async def rows(self, sql: str) -> list[list[Any]]:
        rows: list[list[Any]] = (await self.sql(sql))["results"][-1]["rows"]
        return rows

    async def json(self, op: Op, **args: object) -> dict[str, Any]:
        answer: dict[str, Any] = msgspec.json.decode((await self.call(op, args)).body)
        return answer


def an_asker(store: HeldFiles | None = None, *, seed: int = 1, **database: object) -> Asker:
    """R2 mode with the default settings; `database` changes limits."""
    clock = VirtualClock()
    store = store or HeldFiles(clock)
    settings = R2ModeSettings(save_interval_s=0.0)
    files = R2Files(store, ENV, clock=clock, rng=random.Random(seed), settings=settings, offload=inline)
    actors = ActorSettings(database=DatabaseSettings(**database))  # type: ignore[arg-type]
    return Asker(R2Router(files, settings=actors, file_bytes_max=settings.file_bytes_max, clock=clock), store)


async def content(reply: Reply) -> bytes:
    """A streamed reply's bytes."""
    assert reply.stream is not None
    return b"".join([chunk async for chunk in reply.stream])


async def chunks_of(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]
