"""A gateway that listens on a free port, with or without the short way of plain requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gateway.metrics import GatewayMetrics
from gateway.rest.services import services_of
from gateway.server import listen, serve
from tests.gateway.kit import Bench, FakeRouter, bench

LOOKS_MAX = 20_000


class LongWayRouter:
    """A router that cannot begin calls."""

    def __init__(self, router: FakeRouter) -> None:
        self.call = router.call
        self.close = router.close


@dataclass(slots=True)
class Listening:
    """The server, and who is behind it."""

    bench: Bench
    router: FakeRouter
    port: int
    stop: asyncio.Event
    serving: asyncio.Task[None]

    @property
    def metrics(self) -> GatewayMetrics:
        return services_of(self.bench.application).metrics

    async def settled(self) -> None:
        """Until no request is in flight."""
        for _ in range(LOOKS_MAX):
            if not self.metrics.in_flight:
                return
            await asyncio.sleep(0.001)
        raise AssertionError("requests stay in flight")

    def counts(self) -> list[bytes]:
        """Everything counted, without times of day."""
        return [line for line in self.metrics.exposition(None).splitlines() if b"_created" not in line]


@asynccontextmanager
async def listening(router: FakeRouter, *, direct: bool = True, **settings: Any) -> AsyncIterator[Listening]:
    """`settings` are those of `tests.gateway.kit.bench`."""
    given = router if direct else LongWayRouter(router)
    async with bench(router=given, **settings) as made:  # type: ignore[arg-type]
        listener = listen("127.0.0.1", 0, guarded=False)
        port = listener.getsockname()[1]
        stop, started = asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(serve(made.application, listener, stop=stop, started=started.set))
        await asyncio.wait_for(started.wait(), 20)
        try:
            yield Listening(made, router, port, stop, serving)
        finally:
            stop.set()
            await asyncio.wait_for(serving, 20)
