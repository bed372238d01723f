"""A host without Ray: link server, scheduler, catalog and watchdog on one event loop.

Start order: end a predecessor of the same name on this machine (rule 2), register this process, then listen. Stop
order: say go-away on the links, release everybody, close.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final

from actors.call import Call, Op, Reply
from actors.errors import ActivationEnded, Moved
from actors.hosting.catalog import Catalog
from actors.hosting.endpoint import Endpoint
from actors.hosting.host_config import HostConfig, open_source
from actors.hosting.link_server import LinkServer
from actors.hosting.live import ActivationSource, LiveActivation, Measured, Sample
from actors.hosting.process_registry import ProcessRecord, ProcessRegistry
from actors.hosting.scheduler import Scheduler
from actors.hosting.watchdog import CHECK_INTERVAL_S, Watchdog
from storage.clock import Clock, SystemClock
from storage.layout.address import Address

PREDECESSOR_TIMEOUT_S: Final = 10.0
ANSWER_LATE_S: Final = 5.0


class Host:
    """See the module. Everything on the running event loop; `life_id` is new for every process."""

    def __init__(self, config: HostConfig, *, life_id: str, clock: Clock | None = None) -> None:
        loop = asyncio.get_running_loop()
        self._config, self._life_id, self._loop = config, life_id, loop
        self._clock = clock or SystemClock()
        settings = config.settings.validate()
        self._watchdog = Watchdog(
            interrupt_after_s=settings.turn_interrupt_s,
            fatal_after_s=settings.turn_fatal_s,
            interrupt=lambda address: self.catalog.interrupt(address),
        )
        self._scheduler = Scheduler(
            loop.call_soon, self._clock.now, pass_budget_s=settings.pass_budget_s, watch=self._watchdog
        )
        self.catalog = Catalog(self._activate, self._scheduler, self._clock, settings)
        self._server = LinkServer(self.submit, secret=config.secret, nonce=lambda: os.urandom(32))
        self._scheduler.after_every_pass(self._server.flush)
        self._registry = ProcessRegistry(Path(config.run_folder))
        self._record: ProcessRecord | None = None
        self._source: ActivationSource | None = None
        self._closed = False

    async def start(self) -> None:
        """Listen and serve. Raises HoldfastError, OSError."""
        name = self._config.name
        self._registry.end_leftovers(timeout_s=PREDECESSOR_TIMEOUT_S, now=time.monotonic, sleep=time.sleep, name=name)
        self._record = self._registry.register(name, os.getpid())
        self._source = open_source(self._config)
        self._unix_path = _socket_path(Path(self._config.socket_folder), name)
        await self._server.start(unix_path=self._unix_path, tcp_host=self._config.tcp_host or None)
        self._watchdog.start(time.monotonic)
        self._beat()
        self.catalog.start()

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return Endpoint(
            host=self._config.name,
            life_id=self._life_id,
            machine=self._config.machine,
            pid=os.getpid(),
            unix_path=str(self._unix_path),
            tcp_host=self._config.tcp_host,
            tcp_port=self._server.tcp_port,
        )

    def submit(self, address: Address, call: Call) -> None:
        """One call, from a link or from Ray. A dedicated host serves its own address only."""
        own = self._config.address
        if own is not None and address != own:
            call.fail(Moved(f"host {self._config.name} does not serve {address}"))
        else:
            self.catalog.submit(address, call)

    async def ask(self, address: Address, op: Op, args: Mapping[str, object], body: bytes = b"") -> Reply:
        """One call from this process, on this loop."""
        answer: asyncio.Future[Reply] = self._loop.create_future()
        call = Call(
            op,
            args,
            body,
            lambda reply: None if answer.done() else answer.set_result(reply),
            lambda error: None if answer.done() else answer.set_exception(error),
        )
        self.submit(address, call)
        try:
            return await answer
        except asyncio.CancelledError:
            call.abandoned = True
            raise

    def samples(self) -> list[Sample]:
        """Numbers for metrics: the catalog's gauges and what the source counts."""
        found: list[Sample] = [(f"holdfast_host_{key}", {}, float(n)) for key, n in self.catalog.status().items()]
        if isinstance(self._source, Measured):
            found.extend(self._source.samples())
        return found

    async def wait_until_unused(self) -> None:
        """Until nobody has lived here for `retire_after_s`: a dedicated host is of no more use then."""
        settings, unused_s = self._config.settings, 0.0
        while unused_s < settings.retire_after_s:
            await self._clock.sleep(settings.sweep_interval_s)
            unused_s = 0.0 if self.catalog.is_inhabited else unused_s + settings.sweep_interval_s

    async def drain(self) -> list[Address]:
        """Take no more calls, release everybody. Returns those that had to be killed."""
        self._server.go_away(ActivationEnded(f"host {self._config.name} is draining"))
        unreleased = await self.catalog.drain()
        deadline = self._clock.now() + ANSWER_LATE_S
        while self._server.open_requests and self._clock.now() < deadline:
            await self._clock.sleep(0.01)
        return unreleased

    async def close(self) -> None:
        """End everything without releasing what is still there."""
        if self._closed:
            return
        self._closed = True
        await self.catalog.close()
        await self._server.close()
        self._watchdog.stop()
        if self._source is not None:
            await self._source.close()
        if self._record is not None:
            self._registry.forget(self._record)

    async def _activate(self, address: Address) -> LiveActivation:
        assert self._source is not None, "a host activates only after its start"
        return await self._source.activate(address, self._scheduler.on_pass_end)

    def _beat(self) -> None:
        if not self._closed:
            self._watchdog.beat()
            self._loop.call_later(CHECK_INTERVAL_S / 2, self._beat)


def _socket_path(folder: Path, name: str) -> Path:
    """A short path of this process's own; those that dead processes of the same name left are removed."""
    stem = blake2b(name.encode(), digest_size=6).hexdigest()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in folder.glob(f"{stem}-*"):
        left.unlink(missing_ok=True)
    return folder / f"{stem}-{os.getpid()}"
