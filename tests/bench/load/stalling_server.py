"""A server for tests of the generator: answers at once, except where it was told otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
REFUSED = b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy"
HANG_UP = b""

# The number of a request since the start -> seconds to wait before its answer, and the answer.
Behaviour = Callable[[int], tuple[float, bytes]]


@asynccontextmanager
async def stalling_server(behaviour: Behaviour) -> AsyncIterator[int]:
    """Its port. Handles one request at a time, whoever sent it, as a server with one thread would."""
    one_at_a_time, count = asyncio.Lock(), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
                await reader.readexactly(length)
                async with one_at_a_time:
                    count += 1
                    wait_s, answer = behaviour(count)
                    if wait_s:
                        await asyncio.sleep(wait_s)
                if not answer:
                    return
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
