"""Flag stores for the tests of this folder, and a clock whose sleeps pass at once."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from storage.flags.port import FlagStore
from storage.flags.settings import FlagSettings
from storage.flags.workers_kv import WorkersKvFlags
from tests.storage.flags.kv_server import ACCOUNT, NAMESPACE, TOKEN, KvServer, kv_server


class PassingClock:
    """Stands still but for sleeps, which pass at once, and `pass_time`."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return 1_700_000_000.0 + self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Case:
    """A store under test; `settle` lets time pass until every reader sees what was written."""

    flags: FlagStore
    settle: Callable[[], None]


@dataclass
class Kv:
    """Workers KV and a client of it."""

    flags: WorkersKvFlags
    server: KvServer
    clock: PassingClock


@asynccontextmanager
async def workers_kv(**changes: object) -> AsyncIterator[Kv]:
    """A client of a server of its own."""
    clock = PassingClock()
    with kv_server(clock.now) as server:
        values = {"account_id": ACCOUNT, "namespace_id": NAMESPACE, "api_token": TOKEN, "api_url": server.url} | changes
        settings = FlagSettings(backend="workers_kv", **values).validate()  # type: ignore[arg-type]
        flags = WorkersKvFlags(settings, clock=clock, rng=random.Random(1))
        try:
            yield Kv(flags, server, clock)
        finally:
            await flags.close()
