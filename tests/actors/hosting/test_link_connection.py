"""What a host does with peers that do not keep to the format: it ends their connection, and theirs alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from actors.call import Op
from actors.hosting import frame as wire
from actors.hosting import link_connection
from actors.hosting.handshake import ClientHandshake
from actors.hosting.link_connection import LinkConnection
from tests.actors.hosting.linked import ALICE, SECRET, LinkedHost, a_host, until


class RawPeer:
    """A peer that writes what the test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.decoder = wire.FrameDecoder(wire.PAYLOAD_BYTES_MAX)
        self.frames: list[wire.Frame] = []

    async def frame(self) -> wire.Frame:
        while not self.frames:
            data = await self.reader.read(1 << 16)
            if not data:
                raise EOFError
            self.frames.extend(self.decoder.feed(data))
        return self.frames.pop(0)

    async def ended(self) -> bool:
        try:
            while True:
                await self.frame()
        except (EOFError, ConnectionError):
            return True


@asynccontextmanager
async def a_peer(host: LinkedHost, *, shaken: bool = True) -> AsyncIterator[RawPeer]:
    peer = RawPeer(*await asyncio.open_unix_connection(host.path))
    try:
        if shaken:
            handshake = ClientHandshake(SECRET, os.urandom(32))
            peer.writer.write(handshake.start())
            while not handshake.done:
                peer.writer.write(handshake.receive(await peer.frame()))
        yield peer
    finally:
        peer.writer.transport.abort()
        with suppress(ConnectionError):
            await peer.writer.wait_closed()


def a_request(id: int, op: str = "sql", body: bytes = b"", flags: int = 0, **args: object) -> bytes:
    return wire.encode_request(id, "alice", "default", op, args, body, flags)


MALFORMED = {
    "unknown type": wire.HEADER.pack(0, 77, 0, 1),
    "oversize": wire.HEADER.pack(wire.PAYLOAD_BYTES_MAX + 1, wire.BODY, 0, 1),
    "handshake again": wire.encode_frame(wire.HELLO, payload=bytes(38)),
    "reply to a host": wire.encode_frame(wire.REPLY, 1, bytes(2)),
    "id not rising": a_request(5) + a_request(5),
    "head is not msgpack": wire.encode_frame(wire.REQUEST, 1, b"\x00\x02\xc1\xc1"),
    "no head": wire.encode_frame(wire.REQUEST, 1, b"\xff"),
    "credit of no size": a_request(1, hold=True) + wire.encode_frame(wire.CREDIT, 1, b"x"),
    "body of a complete request": a_request(1, hold=True) + wire.encode_frame(wire.BODY, 1, b"x"),
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_frame_ends_that_connection_only(data: bytes) -> None:
    async with a_host() as host:
        good = await host.link()
        async with a_peer(host) as peer:
            peer.writer.write(data)
            assert await peer.ended()
            assert (await good.call(ALICE, Op.SQL, {}, b"still here")).body == b"still here"


async def test_a_body_past_its_credit_ends_the_connection() -> None:
    async with a_host() as host, a_peer(host) as peer:
        peer.writer.write(a_request(1, "import", flags=wire.MORE | wire.STREAM, hold=True))
        await until(lambda: host.source.made)
        for _ in range(9):
            peer.writer.write(wire.encode_frame(wire.BODY, 1, bytes(wire.CHUNK_BYTES), wire.MORE))
        assert await peer.ended()


async def test_nothing_is_served_before_the_handshake() -> None:
    async with a_host() as host, a_peer(host, shaken=False) as peer:
        peer.writer.write(a_request(1))
        assert await peer.ended()
        assert host.calls == []


async def test_a_peer_that_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_connection, "HANDSHAKE_TIMEOUT_S", 0.01)
    async with a_host() as host, a_peer(host, shaken=False) as peer:
        assert await peer.ended()


async def test_an_unknown_op_or_a_bad_id_is_answered_and_the_link_lives() -> None:
    async with a_host() as host, a_peer(host) as peer:
        peer.writer.write(
            a_request(1, "fly") + wire.encode_request(2, "../x", "default", "sql", {}, b"") + a_request(3)
        )
        codes = [wire.decode_error((await peer.frame()).payload).code for _ in range(2)]
        assert codes == ["invalid_request", "invalid_id"]
        answer = await peer.frame()
        assert (answer.type, answer.id) == (wire.REPLY, 3)


async def test_more_requests_than_the_bound_are_overloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_connection, "REQUESTS_MAX", 2)
    async with a_host() as host, a_peer(host) as peer:
        peer.writer.write(b"".join(a_request(id, hold=True) for id in (1, 2, 3)))
        answer = await peer.frame()
        assert answer.id == 3 and wire.decode_error(answer.payload).code == "overloaded"


async def test_a_whole_body_past_its_bound_is_refused_and_the_link_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_connection, "WHOLE_BODY_BYTES_MAX", 1000)
    async with a_host() as host, a_peer(host) as peer:
        peer.writer.write(a_request(1, flags=wire.MORE) + wire.encode_frame(wire.BODY, 1, bytes(1001), wire.MORE))
        assert wire.decode_error((await peer.frame()).payload).code == "overloaded"
        peer.writer.write(wire.encode_frame(wire.BODY, 1, bytes(1001)) + a_request(2, body=b"x"))
        assert (await peer.frame()).id == 2
        assert host.calls[-1].body == b"x" and len(host.calls) == 1


async def test_a_peer_that_does_not_read_is_not_read_from_either(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_host() as host:
        async with a_peer(host) as peer:
            await until(lambda: len(host.server._connections) == 1)
            connection: LinkConnection = next(iter(host.server._connections))
            sent = 0

            async def flood() -> None:
                nonlocal sent
                for id in range(1, 2000):
                    peer.writer.write(a_request(id, size=200_000))
                    await peer.writer.drain()
                    sent = id
                    await asyncio.sleep(0)

            flooding = asyncio.create_task(flood())
            await until(lambda: not connection.writable.is_set())
            served = len(host.calls)
            for _ in range(200):
                await asyncio.sleep(0)
            assert len(host.calls) <= served + 64
            assert connection._transport is not None
            assert connection._transport.get_write_buffer_size() < 32 << 20
            flooding.cancel()
        await until(lambda: not host.server._connections)


async def test_a_peer_that_stalls_for_good_loses_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_connection, "STALL_S", 0.01)
    async with a_host() as host, a_peer(host) as peer:
        peer.writer.write(b"".join(a_request(id, size=250_000) for id in range(1, 60)))
        await until(lambda: host.server._connections)
        await until(lambda: not host.server._connections)


async def test_connections_past_the_bound_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.hosting.link_server.CONNECTIONS_MAX", 1)
    async with a_host() as host:
        link = await host.link()
        async with a_peer(host, shaken=False) as peer:
            assert await peer.ended()
            assert (await link.call(ALICE, Op.SQL, {}, b"x")).body == b"x"


async def test_a_ping_is_answered() -> None:
    async with a_host() as host, a_peer(host) as peer:
        peer.writer.write(wire.encode_frame(wire.PING, payload=b"12345678"))
        assert await peer.frame() == wire.Frame(wire.PONG, 0, 0, b"12345678")
