"""A proxy before an S3 server that loses requests, loses answers, or answers itself: what a network does to a store.

Each request of the chosen methods takes the next fate from `fates`; when they are used up, everything passes. Requests
are forwarded as they came, signatures included, since the client signs for the proxy's address.
"""

from __future__ import annotations

import asyncio
import http.client
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

Headers = list[tuple[str, str]]


class Fate(Enum):
    """What happens to a request."""

    PASS = "pass"
    LOSE_REQUEST = "lose request"  # the server never sees it; the connection breaks
    LOSE_ANSWER = "lose answer"  # the server carries it out; the connection breaks
    FAIL_AFTER = "fail after"  # the server carries it out; the answer is 500
    ANSWER_500 = "500"
    ANSWER_503 = "503"
    ANSWER_429 = "429"
    ANSWER_409 = "409"
    ANSWER_403 = "403"
    STALL = "stall"  # the server never sees it; no answer until the client gives up
    BREAK_BODY = "break body"  # half of the answer's body arrives
    FLIP_BODY = "flip body"  # one byte of the answer's body is another


@dataclass(frozen=True, slots=True)
class Request:
    """What the client sent."""

    method: str
    target: str
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(slots=True)
class UnreliableProxy:
    """The proxy's knobs and its record of requests."""

    upstream: str
    endpoint: str = ""
    methods: frozenset[str] = frozenset({"PUT"})
    fates: deque[Fate] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)

    def then(self, fates: Iterable[Fate], *methods: str) -> None:
        """From now on, requests of `methods` (default PUT) meet `fates`, and nothing is recorded from before."""
        self.methods = frozenset(methods or ("PUT",))
        self.fates = deque(fates)
        self.requests.clear()

    def sent(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]


@asynccontextmanager
async def unreliable_proxy(upstream: str) -> AsyncIterator[UnreliableProxy]:
    """A proxy before the endpoint `upstream`, on a free loopback port, in this event loop."""
    proxy = UnreliableProxy(upstream)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while (request := await _read_request(reader)) is not None:
                proxy.requests.append(request)
                chosen = request.method in proxy.methods and proxy.fates
                if not await _meet(proxy, request, proxy.fates.popleft() if chosen else Fate.PASS, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _meet(proxy: UnreliableProxy, request: Request, fate: Fate, writer: asyncio.StreamWriter) -> bool:
    """Let a request meet its fate; False when the connection is to be closed."""
    if fate is Fate.LOSE_REQUEST:
        return False
    if fate is Fate.STALL:
        await asyncio.sleep(3600)
    if fate.value.isdecimal():
        return await _answer(writer, request, int(fate.value), _error(fate.value))
    status, headers, body = await asyncio.to_thread(_forward, proxy.upstream, request)
    if fate is Fate.LOSE_ANSWER:
        return False
    if fate is Fate.FAIL_AFTER:
        return await _answer(writer, request, 500, _error("500"))
    if fate is Fate.FLIP_BODY:
        body = body[:-1] + bytes([body[-1] ^ 1])
    kept = [(name, value) for name, value in headers if name.lower() not in ("connection", "transfer-encoding")]
    await _answer(writer, request, status, body, kept, cut=fate is Fate.BREAK_BODY)
    return fate is not Fate.BREAK_BODY


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines) if name]
    size = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Request(method, target, headers, await reader.readexactly(size))


def _forward(upstream: str, request: Request) -> tuple[int, Headers, bytes]:
    connection = http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=30)
    try:
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers:
            connection.putheader(name, value)
        connection.endheaders(request.body)
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    finally:
        connection.close()


async def _answer(
    writer: asyncio.StreamWriter,
    request: Request,
    status: int,
    body: bytes,
    headers: Headers | None = None,
    *,
    cut: bool = False,
) -> bool:
    if headers is None:
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    elif not any(name.lower() == "content-length" for name, _ in headers) and status not in (204, 304):
        headers = [*headers, ("Content-Length", str(len(body)))]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    writer.write(f"HTTP/1.1 {status} Answer\r\n{head}\r\n".encode("latin-1"))
    if request.method != "HEAD":
        writer.write(body[: len(body) // 2] if cut else body)
    await writer.drain()
    return True


def _error(code: str) -> bytes:
    name = {"500": "InternalError", "503": "SlowDown", "429": "TooManyRequests", "409": "ConditionalRequestConflict"}
    text = f"<Error><Code>{name.get(code, 'AccessDenied')}</Code><Message>by the proxy</Message></Error>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()
