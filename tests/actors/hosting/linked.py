"""A host in this process, for tests: link server, scheduler and catalog over echoes, and links to it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from actors.call import Call
from actors.hosting.catalog import Catalog
from actors.hosting.endpoint import Endpoint
from actors.hosting.link_client import HostLink
from actors.hosting.link_server import LinkServer
from actors.hosting.scheduler import Scheduler
from actors.hosting.settings import HostSettings
from storage.clock import SystemClock
from storage.layout.address import Address
from tests.actors.hosting.echo import EchoActivation, EchoSource

SECRET = b"a secret for tests, long enough."
ALICE = Address("alice", "default")
BOB = Address("bob", "default")


class LinkedHost:
    """See the module."""

    def __init__(self, folder: Path, settings: HostSettings) -> None:
        clock = SystemClock()
        loop = asyncio.get_running_loop()
        self.source = EchoSource({})
        self.scheduler = Scheduler(loop.call_soon, clock.now, pass_budget_s=settings.pass_budget_s)
        self.catalog = Catalog(
            lambda address: self.source.activate(address, self.scheduler.on_pass_end), self.scheduler, clock, settings
        )
        self.calls: list[Call] = []
        self.server = LinkServer(self._submit, secret=SECRET, nonce=lambda: os.urandom(32))
        self.scheduler.after_every_pass(self.server.flush)
        self.path = folder / "link"
        self.endpoint = Endpoint(host="host/0", life_id="1", machine="here", pid=os.getpid(), unix_path=str(self.path))
        self.links: list[HostLink] = []

    def _submit(self, address: Address, call: Call) -> None:
        self.calls.append(call)
        self.catalog.submit(address, call)

    async def link(self, *, secret: bytes = SECRET, tcp: bool = False, reply_timeout_s: float = 30.0) -> HostLink:
        endpoint = self.endpoint
        if tcp:
            endpoint = Endpoint(host="host/0", life_id="1", machine="here", pid=1, tcp_host="127.0.0.1",
                                tcp_port=self.server.tcp_port)  # fmt: skip
        link = await HostLink.connect(
            endpoint, secret=secret, nonce=os.urandom(32), connect_timeout_s=5, reply_timeout_s=reply_timeout_s
        )
        self.links.append(link)
        return link

    def activation(self) -> EchoActivation:
        return self.source.made[-1]


@asynccontextmanager
async def a_host(settings: HostSettings | None = None) -> AsyncIterator[LinkedHost]:
    """A listening host, gone with everything of it at the end."""
    with tempfile.TemporaryDirectory(prefix="hf-") as folder:
        host = LinkedHost(Path(folder), settings or HostSettings())
        await host.server.start(unix_path=host.path, tcp_host="127.0.0.1")
        try:
            yield host
        finally:
            for link in host.links:
                link.abort()
            await host.server.close()
            await host.catalog.close()


async def until(condition: Callable[[], object]) -> None:
    """Turn the loop until `condition()` holds; the test's own time limit bounds it."""
    while not condition():  # noqa: ASYNC110 (what is waited for has no event of its own)
        await asyncio.sleep(0.001)
