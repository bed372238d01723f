"""The path of a plain request in one process: protocol, router, link, host, activation and back, over a real socket.

Everything is what a service wires, except that host and gateway share one uvloop, so that one profile sees both, and
that `fdatasync` is counted instead of waited for: what is measured here are counts, and a slow disk must not change
them. Background work (flush, looks, beats) is set so far apart that it stays out of a request.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn
from fastapi import FastAPI
from uvicorn.server import ServerState

from actors.durability.local_disk import LocalDisk
from actors.hosting.directory import HostRouter
from actors.hosting.endpoint import Endpoint
from actors.hosting.host import Host
from actors.hosting.host_config import HostConfig
from actors.hosting.settings import PlacementSettings
from actors.settings import ActorSettings
from actors.source import ActorConfig
from gateway.app import create_app
from gateway.direct_protocol import direct_protocol
from gateway.parts import GatewayParts
from gateway.rest.direct import direct_sql
from gateway.rest.services import services_of
from gateway.settings import GatewaySettings
from holdfast.modes import open_modes
from holdfast.settings import Settings
from storage.clock import SystemClock
from storage.layout.address import Address
from storage.objects.build import open_store
from storage.objects.settings import StoreSettings
from tests.gateway.kit import FakeErasure, SetClock

SECRET = b"a secret for tests, long enough."
TOKEN = "token-of-the-tests"
FAR_S = 3000.0


class OneHost:
    """The HostFinder of a service with one host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def find(self, name: str, address: Address, *, not_life: str | None = None) -> Endpoint:
        return self._host.endpoint


class HotPath:
    """Sends requests into one connection's protocol, as the event loop of a server would."""

    def __init__(self, application: FastAPI) -> None:
        self.application = application
        services = services_of(application)
        direct = direct_sql(services)
        assert direct is not None
        config = uvicorn.Config(application, ws="none", loop="none", log_config=None)
        config.load()
        self._transport = _Transport()
        protocol = direct_protocol(services.parts.settings, direct)
        self._protocol = protocol(config, ServerState(), {}, asyncio.get_running_loop())
        self._protocol.connection_made(self._transport)

    async def sql(self, user: str, sql: str, params: list[object]) -> bytes:
        """The body of the answer. Anything but 200 is an error."""
        body = msgspec.json.encode({"sql": sql, "params": params})
        head = (
            f"POST /v1/users/{user}/sql HTTP/1.1\r\nHost: 127.0.0.1:8700\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        answer = self._transport.expect()
        self._protocol.data_received(head.encode() + body)
        status, _, text = (await answer).partition(b" ")[2].partition(b" ")
        content = text.partition(b"\r\n\r\n")[2]
        assert status == b"200", content
        return content

    def close(self) -> None:
        """The client leaves."""
        self._protocol.connection_lost(None)


class _Transport(asyncio.Transport):
    """Takes what the protocol writes, until a whole answer is there."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()
        self._answer: asyncio.Future[bytes] | None = None

    def expect(self) -> asyncio.Future[bytes]:
        """The next answer."""
        self._answer = asyncio.get_running_loop().create_future()
        return self._answer

    def write(self, data: Any) -> None:
        self._written += data
        head = self._written.find(b"\r\n\r\n")
        if head < 0 or self._answer is None:
            return
        length = self._written.index(b"content-length: ") + len(b"content-length: ")
        if len(self._written) == head + 4 + int(self._written[length : self._written.index(b"\r", length)]):
            self._answer.set_result(bytes(self._written))
            self._written.clear()

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        return None


@asynccontextmanager
async def hot_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HotPath]:
    """A wired path over a store in `folder`, with a token, guard, journal, gate and access log on."""
    monkeypatch.setattr(os, "fdatasync", _count_only)
    store_settings = StoreSettings(root=folder / "store")
    disk = LocalDisk(folder / "state")
    machine = disk.machine_id
    disk.close()
    actors = ActorConfig(
        env="dev",
        store=store_settings,
        state_root=str(folder / "state"),
        settings=ActorSettings(ttl_s=FAR_S, flush_interval_s=FAR_S, flush_idle_s=FAR_S, collect_interval_s=FAR_S),
    )
    config = HostConfig(
        secret=SECRET,
        machine=machine,
        source="actors.source:open_source",
        source_config=actors.to_mapping(),
        socket_folder=str(folder / "s"),
        run_folder=str(folder / "run"),
        name="shared/0",
    )
    clock = SystemClock()
    host = Host(config, life_id="1")
    await host.start()
    placement = PlacementSettings(mode="shared", shared_hosts=1)
    router = HostRouter(
        OneHost(host), placement, secret=SECRET, machine=machine, nonce=lambda: os.urandom(32), clock=clock
    )
    store = open_store(store_settings, clock=clock, rng=random.Random(1))
    stack = AsyncExitStack()
    parts = GatewayParts(
        router=router,
        store=store,
        env="dev",
        erasure=FakeErasure(store, SetClock()),
        settings=GatewaySettings(token=TOKEN),
        clock=clock,
        modes=open_modes(stack, store, Settings(), clock=clock, rng=random.Random(2)),
    )
    log = bytearray()
    path = HotPath(create_app(parts, write_log=log.extend))
    try:
        yield path
    finally:
        path.close()
        await stack.aclose()
        await router.close()
        await host.drain()
        await host.close()
        await store.close()


def _count_only(descriptor: int) -> None:
    """Stands for os.fdatasync."""
