"""A server that does nothing but answer: what the generator itself can send, measured against it.

`python -m bench.load.echo` listens on a free loopback port and prints it. The answer has the size of a read by key.
"""

from __future__ import annotations

import asyncio

import uvloop

BODY = b'{"results":[{"columns":["id"],"rows":[[1]],"changes":0,"last_insert_rowid":0}],"bookmark":"1-1-1"}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Echo(asyncio.Protocol):
    """Answers every arrival of bytes once: good for clients with one request under way."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER)  # type: ignore[attr-defined]


async def serve() -> None:
    """Until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
