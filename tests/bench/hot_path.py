"""The path of one request in one process: edge, route, router, link, host, activation and back, over a real socket.

Everything is what a service wires, except that host and gateway share one uvloop, so that one profile sees both, and
that `fdatasync` is counted instead of waited for: what is measured here are counts, and a slow disk must not change
them. Background work (flush, looks, beats) is set so far apart that it stays out of a request.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastapi import FastAPI

from actors.durability.local_disk import LocalDisk
from actors.hosting.directory import HostRouter
from actors.hosting.endpoint import Endpoint
from actors.hosting.host import Host
from actors.hosting.host_config import HostConfig
from actors.hosting.settings import PlacementSettings
from actors.settings import ActorSettings
from actors.source import ActorConfig
from gateway.app import create_app
from gateway.parts import GatewayParts
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
    """Sends requests into the application as uvicorn would."""

    def __init__(self, application: FastAPI) -> None:
        self.application = application

    async def sql(self, user: str, sql: str, params: list[object]) -> bytes:
        """The body of the answer. Anything but 200 is an error."""
        body = msgspec.json.encode({"sql": sql, "params": params})
        answer: list[Any] = []
        path = f"/v1/users/{user}/sql"
        headers = [
            (b"host", b"127.0.0.1:8700"),
            (b"authorization", b"Bearer " + TOKEN.encode()),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8700),
            "state": {},
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            answer.append(message)

        await self.application(scope, receive, send)
        status, text = answer[0]["status"], b"".join(part.get("body", b"") for part in answer[1:])
        assert status == 200, text
        return text


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
    try:
        yield HotPath(create_app(parts, write_log=log.extend))
    finally:
        await stack.aclose()
        await router.close()
        await host.drain()
        await host.close()
        await store.close()


def _count_only(descriptor: int) -> None:
    """Stands for os.fdatasync."""
