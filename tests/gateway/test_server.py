"""The server over real sockets: what an in-process client cannot show."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import msgspec
import pytest

from actors.call import Reply
from gateway.errors import BindRefused
from gateway.server import AddressInUse, listen, serve, stop_on_signals
from tests.gateway.kit import Bench, assert_problem, bench

BODY_LENGTH = b"Content-Length: 2\r\n"


@dataclass(slots=True)
class Served:
    """A gateway that listens on a free port of this machine."""

    bench: Bench
    port: int
    stop: asyncio.Event
    serving: asyncio.Task[None]

    async def exchange(self, data: bytes, *, more: tuple[bytes, ...] = ()) -> bytes:
        """Everything the server says until it closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in (data, *more):
                writer.write(part)
                await writer.drain()
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def served(**settings: object) -> AsyncIterator[Served]:
    async with bench(**settings) as made:  # type: ignore[arg-type]
        listener = listen("127.0.0.1", 0, guarded=False)
        port = listener.getsockname()[1]
        stop, started = asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(serve(made.application, listener, stop=stop, started=started.set))
        try:
            await asyncio.wait_for(started.wait(), 20)
            yield Served(made, port, stop, serving)
        finally:
            stop.set()
            await asyncio.wait_for(serving, 20)


def parse(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers, body


def assert_raw_problem(answer: bytes, status: int, code: str) -> None:
    found, headers, body = parse(answer)
    problem = msgspec.json.decode(body)
    assert (found, problem["code"]) == (status, code), answer
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == problem["request_id"]
    assert headers["connection"] == "close"


async def test_a_request_over_a_socket() -> None:
    async with served() as server, httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        response = await client.post("/v1/users/alice/sql", json={"sql": "SELECT 1"})
        assert response.json() == {"ok": "sql"}
        assert response.headers["holdfast-mode"] == "actor"
        assert "server" not in response.headers


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + BODY_LENGTH + b"Content-Length: 3\r\n\r\nabc",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\n" + BODY_LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /hea lthz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"G\x00T /healthz HTTP/1.1\r\n\r\n",
    ],
)
async def test_bytes_that_are_no_request_get_a_problem_and_the_end(data: bytes) -> None:
    async with served() as server:
        assert_raw_problem(await server.exchange(data), 400, "invalid_request")
        assert b"200 OK" in await server.exchange(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize(
    "parts",
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Big: " + b"x" * 40_000 + b"\r\n\r\n",),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",),
        (b"GET /healthz HTTP/1.1\r\nX-Endless: ", *(b"x" * 10_000 for _ in range(8))),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", *(b"X-%d: y\r\n" % number * 500 for number in range(12))),
    ],
)
async def test_a_head_without_end_is_refused_at_its_bound(parts: tuple[bytes, ...]) -> None:
    async with served(header_bytes_max=32 << 10) as server:
        try:
            answer = await server.exchange(parts[0], more=parts[1:])
        except ConnectionError:
            return  # the answer was overtaken by the reset of what was still being sent
        assert_raw_problem(answer, 431, "headers_too_large")


async def test_connections_are_bounded() -> None:
    async with served(connections_max=2) as server:
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        for _, writer in held:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [b"200" in await reader.readline() for reader, _ in held] == [True, True]
        assert_raw_problem(await server.exchange(b""), 503, "overloaded")
        held[0][1].close()
        await held[0][1].wait_closed()
        held[1][1].close()


async def test_a_silent_connection_is_closed() -> None:
    async with served(keep_alive_s=1) as server:
        assert await server.exchange(b"") == b""


async def test_large_body_is_refused_before_it_is_sent_when_the_client_asks_first() -> None:
    head = b"POST /v1/users/alice/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 31457280\r\n"
    async with served() as server:
        answer = await server.exchange(head + b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"100 Continue" not in answer


async def test_stream_that_fails_midway_never_looks_complete() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("disk")

    async with served() as server:
        server.bench.router.answer = lambda asked: Reply(stream=broken())
        answer = await server.exchange(b"GET /v1/users/alice/export HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"first" in answer
        assert not answer.endswith(b"0\r\n\r\n")


async def test_client_that_leaves_ends_its_stream_even_when_chunks_are_always_at_hand() -> None:
    closed = asyncio.Event()
    exhausted = False

    async def long() -> AsyncIterator[bytes]:
        nonlocal exhausted
        try:
            for _ in range(20_000):
                yield b"x" * 10_000
            exhausted = True
        finally:
            closed.set()

    async with served() as server:
        server.bench.router.answer = lambda asked: Reply(stream=long())
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /v1/users/alice/export HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readexactly(20_000)
        writer.close()
        await asyncio.wait_for(closed.wait(), 20)
        assert not exhausted


async def test_slow_reader_holds_the_stream_back() -> None:
    made = 0

    async def long() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(1000):
            made += 1
            yield b"x" * 100_000

    async with served() as server:
        server.bench.router.answer = lambda asked: Reply(stream=long())
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1)
        writer.write(b"GET /v1/users/alice/export HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readexactly(1)
        before = -1
        while made != before:  # until the sockets' buffers are full
            before = made
            await asyncio.sleep(0.1)
        assert made < 500
        writer.transport.abort()


async def test_requests_in_flight_finish_and_new_ones_are_not_taken_when_stopping() -> None:
    async with served() as server:
        server.bench.router.release = asyncio.Event()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
            waiting = asyncio.create_task(client.get("/v1/users/alice/status"))
            await server.bench.router.arrivals.acquire()
            server.stop.set()
            async with asyncio.timeout(20):
                while await can_connect(server.port):
                    pass
            assert not server.serving.done()
            server.bench.router.release.set()
            assert (await waiting).status_code == 200
        await asyncio.wait_for(server.serving, 20)


async def test_request_that_does_not_end_is_given_up_when_stopping() -> None:
    async with served(shutdown_grace_s=1) as server:
        server.bench.router.release = asyncio.Event()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
            waiting = asyncio.create_task(client.get("/v1/users/alice/status"))
            await server.bench.router.arrivals.acquire()
            server.stop.set()
            await asyncio.wait_for(server.serving, 20)
            assert_problem(await waiting, 503, "stopping", retryable=True)


async def can_connect(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def test_without_a_token_only_loopback_is_listened_on() -> None:
    with pytest.raises(BindRefused):
        listen("0.0.0.0", 0, guarded=False)
    listen("0.0.0.0", 0, guarded=True).close()


async def test_serving_without_a_token_on_a_foreign_socket_is_refused_too(gateway: Bench) -> None:
    with listen("0.0.0.0", 0, guarded=True) as listener, pytest.raises(BindRefused):
        await serve(gateway.application, listener, stop=asyncio.Event())


def test_port_in_use_is_one_clear_error() -> None:
    with listen("127.0.0.1", 0, guarded=False) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(AddressInUse, match=rf"127\.0\.0\.1:{port}"):
            listen("127.0.0.1", port, guarded=False)
    with pytest.raises(AddressInUse):
        listen("no.such.host.invalid", 0, guarded=True)


async def test_first_signal_stops_and_the_second_aborts() -> None:
    stop, aborted = asyncio.Event(), asyncio.Event()
    with stop_on_signals(stop, abort=aborted.set):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 20)
        assert not aborted.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait_for(aborted.wait(), 20)


def test_a_free_port_is_picked_for_zero() -> None:
    with listen("localhost", 0, guarded=False) as listener:
        assert listener.getsockname()[1] > 0
        assert listener.family in (socket.AF_INET, socket.AF_INET6)
