"""What is measured side by side: ours and its peers behind one port. Also the requests that prepare and check them."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Protocol

from bench.load.http import AnswerReader
from bench.load.plan import Endpoint

REQUEST_TIMEOUT_S = 120.0


class Contender(Protocol):
    """A server that answers POST with a user's SQL. Started and stopped any number of times, over the same data."""

    @property
    def name(self) -> str:
        """As in tables."""
        ...

    def missing(self) -> str | None:
        """What must be installed before `start` can work, and how; None when nothing."""
        ...

    async def start(self) -> Endpoint:
        """Start it; where it answers."""
        ...

    async def stop(self) -> None:
        """End it in order: what was acknowledged is there after the next start."""
        ...

    def process_ids(self) -> list[int]:
        """Every process it consists of, while it runs."""
        ...


class RequestRefused(Exception):
    """A contender answered with something other than 200."""


class Caller:
    """One keep-alive connection for requests outside of a load."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, user: int, body: bytes) -> Any:
        """The decoded answer to one request. Raises RequestRefused."""
        return json.loads(await self.send(self._endpoint.encode(user, body)))

    async def send(self, request: bytes) -> bytes:
        """The same with the request's bytes made by the caller, and the body as it came."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._endpoint.host, self._endpoint.port, limit=16 << 20)
        reader, writer = self._streams
        writer.write(request)
        answer, status = AnswerReader(), 0
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            while not status:
                data = await reader.read(1 << 20)
                if not data:
                    raise RequestRefused("the connection was closed")
                status = answer.feed(data)
        if status != 200:
            raise RequestRefused(f"HTTP {status} {answer.body_bytes()[:400].decode('utf-8', 'replace')}")
        if answer.closing:
            await self.close()
        return answer.body_bytes()

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
