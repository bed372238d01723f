"""A gateway over real activations in this process: one machine's fake disk, one store that can be broken, virtual time.

`ActivationRouter` does in process what the hosts' router does over links: it activates an address on its first call,
asks again when an activation was ending, and forgets one that has ended.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx
from fastapi import FastAPI

from actors.activation import Activation, activate
from actors.call import Call, Op, Reply
from actors.errors import ActivationEnded
from actors.settings import ActorSettings
from gateway.app import create_app
from gateway.log_erasure import LogErasure
from gateway.parts import GatewayParts
from gateway.settings import GatewaySettings
from storage.layout.address import Address
from tests.actors.kit import ENV, FakeDisk, HeldStore, Process, VirtualClock
from tests.gateway.kit import BASE_URL

ASKS_MAX = 5
TICK_S = 0.0005
RETENTION_S = 30 * 86_400.0


class ActivationRouter:
    """Implements `Router` over the activations of one process."""

    def __init__(self, process: Process) -> None:
        self._parts = process.parts
        self._live: dict[Address, Activation] = {}
        self._locks: dict[Address, asyncio.Lock] = {}

    async def call(
        self,
        address: Address,
        op: Op,
        args: Mapping[str, object],
        body: bytes = b"",
        *,
        stream: AsyncIterator[bytes] | None = None,
    ) -> Reply:
        for _ in range(ASKS_MAX):
            activation = await self._activation(address)
            answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            activation.submit(Call(op, args, body, answer.set_result, answer.set_exception, stream))
            try:
                return await answer
            except ActivationEnded:
                self._live.pop(address, None)
                await asyncio.sleep(0.05)
        raise ActivationEnded(f"actor {address} keeps ending")

    async def evict(self, address: Address) -> None:
        """Release the activation; the next call recovers from the bucket."""
        await self._live.pop(address).release()

    async def close(self) -> None:
        for activation in list(self._live.values()):
            await activation.kill()

    async def _activation(self, address: Address) -> Activation:
        async with self._locks.setdefault(address, asyncio.Lock()):
            found = self._live.get(address)
            if found is None or found.ended.done():
                found = self._live[address] = await activate(address, self._parts)
            return found


class TickingClock(VirtualClock):
    """Time passes with every look at it too, so that a statement that only computes meets its deadline."""

    def now(self) -> float:
        self.skip(TICK_S)
        return super().now()


@dataclass(slots=True)
class Local:
    """The gateway, and what can be broken underneath it."""

    client: httpx.AsyncClient
    router: ActivationRouter
    store: HeldStore
    disk: FakeDisk
    application: FastAPI

    async def sql(self, user: str, sql: str, *params: object, **headers: str) -> httpx.Response:
        """One statement for a user's selected profile; header names with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"sql": sql, "params": list(params)}
        return await self.client.post(f"/v1/users/{user}/sql", json=body, headers=named)

    async def rows(self, user: str, sql: str) -> list[list[object]]:
        response = await self.sql(user, sql)
        assert response.status_code == 200, response.text
        rows: list[list[object]] = response.json()["results"][-1]["rows"]
        return rows

    async def address(self, user: str) -> Address:
        return Address(user, (await self.client.get(f"/v1/users/{user}/profiles")).json()["selected"])


@asynccontextmanager
async def local_gateway(
    actors: ActorSettings | None = None, *, clock: VirtualClock | None = None, **settings: object
) -> AsyncIterator[Local]:
    """Inside a `virtual` test."""
    clock = clock or VirtualClock()
    store, disk = HeldStore(clock), FakeDisk("m1", clock)
    process = Process(store, disk, settings=actors)
    process.parts = replace(process.parts, clock=clock)
    router = ActivationRouter(process)
    application = create_app(local_parts(router, store, clock, **settings), write_log=lambda lines: None)
    transport = httpx.ASGITransport(app=application)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client,
    ):
        yield Local(client, router, store, disk, application)
        await router.close()


def local_parts(router: ActivationRouter, store: HeldStore, clock: VirtualClock, **settings: object) -> GatewayParts:
    """Parts of one more gateway over the same actors."""
    return GatewayParts(
        router=router,
        store=store,
        env=ENV,
        erasure=LogErasure(router, store, ENV, clock=clock, rng=random.Random(2), retention_s=RETENTION_S),
        settings=GatewaySettings(**settings),  # type: ignore[arg-type]
        clock=clock,
        rng=random.Random(1),
        random_bytes=os.urandom,
    )
