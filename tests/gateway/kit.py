"""A gateway for tests: the real application over a memory store, a clock that is set by hand, and a router that plays
the part of the hosts. The router keeps the port's promises and records what it was asked; it knows no SQL."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import msgspec
from fastapi import FastAPI

from actors.call import Op, Reply
from gateway.app import create_app
from gateway.json_logs import RequestLog
from gateway.modes import ModeParts
from gateway.parts import GatewayParts, HostsReport, Sample, hosts_always_ready, no_host_metrics
from gateway.settings import GatewaySettings
from storage.errors import HoldfastError
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.objects.memory import MemoryStore
from storage.objects.port import ObjectStore

ENV = "dev"
BACKOFF_S_MAX = 60.0
BASE_URL = "http://localhost"
LINK_SECRET = b"0123456789abcdef0123456789abcdef"


class SetClock:
    """Both clocks stand still until the test moves them. A backoff passes at once; what sleeps longer never wakes."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.wall_seconds = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return self.wall_seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall_seconds += seconds

    async def sleep(self, seconds: float) -> None:
        if seconds > BACKOFF_S_MAX:
            await asyncio.Event().wait()
        self.advance(seconds)
        await asyncio.sleep(0)


@dataclass(slots=True)
class Asked:
    """One call that reached the router; `streamed` is what its request stream held."""

    address: Address
    op: Op
    args: Mapping[str, object]
    body: bytes
    streamed: bytes | None = None


class CountedBytes:
    """Random bytes that differ from each other and are the same in every run."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, size: int) -> bytes:
        self.count += 1
        return (
            self.count.to_bytes(4, "big").rjust(size, b"\xa0")[:size] if size > 4 else self.count.to_bytes(size, "big")
        )


class ClosableStream:
    """A reply's stream that remembers whether it was closed."""

    def __init__(self, chunks: Sequence[bytes], failure: Exception | None = None) -> None:
        self._chunks = deque(chunks)
        self._failure = failure
        self.closed = False
        self.taken = 0

    def __aiter__(self) -> ClosableStream:
        return self

    async def __anext__(self) -> bytes:
        if not self._chunks:
            if self._failure is not None:
                raise self._failure
            raise StopAsyncIteration
        self.taken += 1
        return self._chunks.popleft()

    async def aclose(self) -> None:
        self.closed = True


@dataclass(slots=True)
class BegunCall:
    """A call that the router began."""

    answer: asyncio.Future[Reply]
    abandoned: bool = False

    def abandon(self) -> None:
        self.abandoned = True


@dataclass(slots=True)
class FakeRouter:
    """Answers `{"ok": OP}` unless told otherwise by `answer`, which may return a reply or raise.

    `release`, when set to an event, holds every call back until it is set; `arrivals` counts those that came. `begun`
    are the calls that came on the short way, which is open while `linked`; `second` answers after their first failure.
    """

    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], Reply] | None = None
    release: asyncio.Event | None = None
    arrivals: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    begun: list[BegunCall] = field(default_factory=list)
    linked: bool = True
    second: Callable[[HoldfastError], Reply] | None = None

    async def call(
        self,
        address: Address,
        op: Op,
        args: Mapping[str, object],
        body: bytes = b"",
        *,
        stream: AsyncIterator[bytes] | None = None,
    ) -> Reply:
        asked = Asked(address, op, dict(args), body)
        self.asked.append(asked)
        self.arrivals.release()
        if self.release is not None:
            await self.release.wait()
        if stream is not None:
            asked.streamed = b""
            async for chunk in stream:
                asked.streamed += chunk
        if self.answer is not None:
            return self.answer(asked)
        return Reply(body=msgspec.json.encode({"ok": op.value}))

    def begin(self, address: Address, op: Op, args: Mapping[str, object], body: bytes) -> BegunCall | None:
        if not self.linked:
            return None
        self.begun.append(BegunCall(asyncio.get_running_loop().create_task(self.call(address, op, args, body))))
        return self.begun[-1]

    async def go_on(
        self, error: HoldfastError, address: Address, op: Op, args: Mapping[str, object], body: bytes
    ) -> Reply:
        if self.second is None:
            raise error
        return self.second(error)

    async def close(self) -> None:
        return None

    def fail_with(self, error: HoldfastError) -> None:
        def fail(asked: Asked) -> Reply:
            raise error

        self.answer = fail


@dataclass(slots=True)
class FakeErasure:
    """The log's side of deleting: writes the tombstone, says that it stays for 30 days."""

    store: ObjectStore
    clock: SetClock
    erased: list[Address] = field(default_factory=list)
    failure: HoldfastError | None = None

    async def erase(self, address: Address) -> Mapping[str, object]:
        if self.failure is not None:
            raise self.failure
        self.erased.append(address)
        await self.store.put(database_key(ENV, address), b"tombstone")
        return {"until": self.clock.wall() + 30 * 86_400, "what": "log and tombstone"}


@dataclass(slots=True)
class Bench:
    """One gateway with everything around it."""

    application: FastAPI
    client: httpx.AsyncClient
    router: FakeRouter
    store: ObjectStore
    clock: SetClock
    erasure: FakeErasure
    log: bytearray
    requests: RequestLog

    def lines(self) -> list[dict[str, object]]:
        """The request log so far."""
        self.requests.flush()
        return [msgspec.json.decode(line) for line in bytes(self.log).splitlines()]


def requests_of(application: FastAPI) -> RequestLog:
    """The request log of an application, to be flushed before it is read."""
    requests: RequestLog = application.state.requests
    return requests


@asynccontextmanager
async def running(application: FastAPI) -> AsyncIterator[None]:
    """The application between its lifespan's start and end."""
    async with application.router.lifespan_context(application):
        yield


@asynccontextmanager
async def bench(
    *,
    store: ObjectStore | None = None,
    clock: SetClock | None = None,
    router: FakeRouter | None = None,
    random_bytes: Callable[[int], bytes] | None = None,
    hosts_ready: Callable[[], object] = hosts_always_ready,
    host_metrics: Callable[[], object] = no_host_metrics,
    modes: ModeParts | None = None,
    **settings: object,
) -> AsyncIterator[Bench]:
    """A running gateway; keyword arguments beyond the parts are settings."""
    clock = clock or SetClock()
    store = store if store is not None else MemoryStore(clock)
    router = router or FakeRouter()
    erasure = FakeErasure(store, clock)
    parts = GatewayParts(
        router=router,
        store=store,
        env=ENV,
        erasure=erasure,
        settings=GatewaySettings(**settings),  # type: ignore[arg-type]
        clock=clock,
        random_bytes=random_bytes or CountedBytes(),
        link_secret=LINK_SECRET,
        hosts_ready=hosts_ready,  # type: ignore[arg-type]
        host_metrics=host_metrics,  # type: ignore[arg-type]
        version="0.1",
        modes=modes,
    )
    log = bytearray()
    application = create_app(parts, write_log=log.extend)
    transport = httpx.ASGITransport(app=application)
    async with running(application), httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        yield Bench(application, client, router, store, clock, erasure, log, requests_of(application))


def assert_problem(
    response: httpx.Response, status: int, code: str, *, retryable: bool = False, says: str = ""
) -> dict[str, object]:
    """The whole shape of a problem answer; returns its body."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body: dict[str, object] = response.json()
    assert (response.status_code, body["code"], body["retryable"]) == (status, code, retryable), body
    assert body["status"] == status
    assert body["type"] == f"urn:holdfast:problem:{code}"
    assert body["title"]
    assert body["request_id"] == response.headers["x-request-id"]
    assert says in str(body["detail"]), body["detail"]
    assert ("retry-after" in response.headers) is retryable
    return body


__all__ = ["HostsReport", "Sample"]
