"""A gateway that serves both modes, over one held store: real activations, real files, virtual time.

`Modal.gateway()` makes one more gateway over the same store with flags of its own, so that two of them can believe
opposite things.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx

from actors.durability.offload import inline
from actors.r2mode.router import R2Router
from actors.settings import ActorSettings
from gateway.app import create_app
from gateway.modes import ModeParts, ModeRouter
from gateway.rest.services import services_of
from storage.errors import Unavailable
from storage.flags.cache import FlagCache
from storage.flags.flag import Flag, ServedMode
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.r2_sqlite.change import change_file
from storage.r2_sqlite.files import R2Files
from storage.r2_sqlite.settings import R2ModeSettings
from storage.r2_sqlite.transition import Event
from storage.rollout.store import RolloutCache, RolloutStore
from tests.actors.kit import ENV, FakeDisk, Process, VirtualClock
from tests.gateway.kit import BASE_URL
from tests.gateway.local import ActivationRouter, local_parts
from tests.storage.r2_sqlite.bucket import HeldFiles


@dataclass
class Flags:
    """A store of flags that a test sets; every reading is counted."""

    values: dict[str, Flag] = field(default_factory=dict)
    reads: int = 0
    away: bool = False
    staleness_s: float = 0.0

    async def get(self, user: str) -> Flag | None:
        self.reads += 1
        if self.away:
            raise Unavailable("flags are away")
        return self.values.get(user)

    async def put(self, user: str, flag: Flag) -> None:
        self.values[user] = flag

    async def delete(self, user: str) -> None:
        self.values.pop(user, None)

    async def users(self) -> AsyncIterator[str]:
        for user in sorted(self.values):
            yield user

    async def close(self) -> None:
        return None


@dataclass
class Gateway:
    """One gateway, asked over HTTP."""

    client: httpx.AsyncClient
    flags: Flags
    modes: ModeParts
    router: ModeRouter

    async def sql(self, user: str, sql: str, *params: object, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(f"/v1/users/{user}/sql", json={"sql": sql, "params": list(params)}, headers=named)

    async def names(self, user: str) -> list[str]:
        response = await self.sql(user, "SELECT name FROM games ORDER BY id")
        assert response.status_code == 200, response.text
        return [row[0] for row in response.json()["results"][0]["rows"]]

    async def add(self, user: str, name: str) -> httpx.Response:
        return await self.sql(user, "INSERT INTO games(name) VALUES(?)", name)

    async def address(self, user: str) -> Address:
        return Address(user, (await self.client.get(f"/v1/users/{user}/profiles")).json()["selected"])


@dataclass
class Modal:
    """The store, the actors' process, and gateways made on demand."""

    store: HeldFiles
    router: ActivationRouter
    clock: VirtualClock
    stack: AsyncExitStack

    async def gateway(self, *, new_users: ServedMode = ServedMode.ACTOR, **flags: Flag) -> Gateway:
        """One more gateway, which believes in `flags`."""
        own = Flags(dict(flags))
        rng = random.Random(len(self.store.sent))
        files = R2Files(
            self.store, ENV, clock=self.clock, rng=rng, settings=R2ModeSettings(save_interval_s=0.0), offload=inline
        )
        settings = ActorSettings()
        modes = ModeParts(
            files=R2Router(files, settings=settings, file_bytes_max=1 << 26, clock=self.clock),
            flags=FlagCache(own, self.clock, ttl_s=30.0, users_max=100),
            rollouts=RolloutCache(RolloutStore(self.store, ENV, clock=self.clock, rng=rng), self.clock, ttl_s=10.0),
            new_users=new_users,
            addresses_max=100,
        )
        parts = replace(local_parts(self.router, self.store, self.clock), modes=modes)
        application = create_app(parts, write_log=lambda lines: None)
        await self.stack.enter_async_context(application.router.lifespan_context(application))
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=application), base_url=BASE_URL)
        await self.stack.enter_async_context(client)
        found = services_of(application).modes
        assert found is not None
        return Gateway(client, own, modes, found)

    async def change(self, address: Address, *events: Event, body: bytes | None = None) -> None:
        """What a migration does to the file."""
        for event in events:
            found = await self.store.inner.get(database_key(ENV, address))
            rng = random.Random(found.info.etag)
            assert await change_file(self.store.inner, found, event, clock=self.clock, rng=rng, body=body)


@asynccontextmanager
async def modal() -> AsyncIterator[Modal]:
    """Inside a `virtual` test."""
    clock = VirtualClock()
    store = HeldFiles(clock)
    router = ActivationRouter(Process(store, FakeDisk("m1", clock)))
    async with AsyncExitStack() as stack:
        yield Modal(store, router, clock, stack)
        await router.close()
