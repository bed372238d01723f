"""The class behind a Ray actor: a Host on an event loop of its own, and methods for other Ray programs.

The host runs on its own uvloop in its own thread, not on Ray's loop for asynchronous actors: nothing of Ray's then ever
sits between two turns, and the watchdog watches a loop that is ours alone. (Speed does not decide it: see
docs/decisions.md.) Ray's methods hand over to that loop and wait.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import msgspec
import uvloop

from actors.call import Op, Reply
from actors.hosting.host import Host
from actors.hosting.host_config import HostConfig, set_up_logs
from actors.hosting.live import Sample
from storage.errors import InvalidRequest
from storage.layout.address import Address

T = TypeVar("T")


class HostActor:
    """One host process. Its constructor returns when the host listens, or raises why it cannot."""

    def __init__(self, config: HostConfig) -> None:
        self._config = config
        set_up_logs(config)
        self._loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="holdfast-host", daemon=True)
        self._thread.start()
        self._host = self._run(self._start()).result()
        if config.address is not None:
            self._run(self._retire_when_unused())

    async def endpoint(self) -> dict[str, object]:
        """Where this host listens (actors.hosting.endpoint)."""
        return self._host.endpoint.to_dict()

    async def ping(self) -> dict[str, object]:
        """Numbers of this host, answered by its loop."""

        async def look() -> dict[str, object]:
            return {"pid": os.getpid(), "host": self._config.name, **self._host.catalog.status()}

        return await self._wait(look())

    async def samples(self) -> list[Sample]:
        """Numbers of this host for metrics."""

        async def look() -> list[Sample]:
            return self._host.samples()

        return await self._wait(look())

    async def execute(
        self,
        sql: str,
        params: Sequence[object] | Mapping[str, object] | None = None,
        *,
        user: str | None = None,
        profile: str | None = None,
        durability: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Run SQL as `POST …/sql` does and return its decoded answer. Blobs travel as `{"base64": …}`, in and out.
        A dedicated host knows its user and profile. Raises the error the actor answered."""
        request: dict[str, object] = {"sql": sql}
        if params is not None:
            request["params"] = params
        args = {"durability": durability, "idempotency_key": idempotency_key}
        given = {name: value for name, value in args.items() if value is not None}
        address = self._address(user, profile)
        reply = await self._wait(self._host.ask(address, Op.SQL, given, msgspec.json.encode(request)))
        return msgspec.json.decode(reply.body, type=dict[str, Any])

    async def ask(self, user: str, profile: str, op: str, args: Mapping[str, object], body: bytes = b"") -> bytes:
        """Any call whose answer is no stream: the answer's bytes."""
        reply: Reply = await self._wait(self._host.ask(Address.parse(user, profile), Op(op), args, body))
        return reply.body

    async def drain(self) -> list[str]:
        """Release every activation and take no more. Returns the addresses that had to be killed."""
        return [str(address) for address in await self._wait(self._host.drain())]

    async def stop(self) -> list[str]:
        """Drain, then close the links: the process may be ended after this."""
        unreleased = await self.drain()
        await self._wait(self._host.close())
        return unreleased

    def retire(self) -> None:
        """End this process for good. Where nothing can start it again, it stays."""

    async def _retire_when_unused(self) -> None:
        """A dedicated host whose activation was evicted gives its process back; a call that comes too late did not run
        and finds the next one."""
        await self._host.wait_until_unused()
        await self._host.drain()
        await self._host.close()
        await asyncio.to_thread(self.retire)

    def _address(self, user: str | None, profile: str | None) -> Address:
        own = self._config.address
        if user is None and own is not None:
            return own
        if user is None:
            raise InvalidRequest(f"host {self._config.name} serves many addresses: name the user and the profile")
        return Address.parse(user, profile or "default")

    async def _start(self) -> Host:
        host = Host(self._config, life_id=os.urandom(8).hex())
        try:
            await host.start()
        except BaseException:
            await host.close()
            raise
        return host

    def _run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(self._run(work))
