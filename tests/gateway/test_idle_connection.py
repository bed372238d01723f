"""When a connection that says nothing is closed: one timer serves all its requests, on either way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.direct_protocol import DirectProtocol, direct_protocol
from gateway.rest.direct import direct_sql
from gateway.rest.services import services_of
from tests.gateway.kit import Bench, FakeRouter, bench
from tests.gateway.listening import listening
from tests.gateway.raw_http import converse, read_answer, request

pytestmark = pytest.mark.slow

ONE = request()


class _Transport(asyncio.Transport):
    """A socket that takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Semaphore(0)
        self.closed = False

    def write(self, data: Any) -> None:
        self.written.release()

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def connection(made: Bench, transport: _Transport) -> DirectProtocol:
    services = services_of(made.application)
    direct = direct_sql(services)
    assert direct is not None
    config = uvicorn.Config(made.application, ws="none", loop="none", log_config=None, timeout_keep_alive=75)
    config.load()
    found = direct_protocol(services.parts.settings, direct)(config, ServerState(), {}, asyncio.get_running_loop())
    found.connection_made(transport)
    return found


async def test_the_timer_closes_a_connection_only_when_it_was_idle_all_the_time() -> None:
    router = FakeRouter()
    async with bench(router=router) as made:
        await services_of(made.application).directory.resolve("alice", None)
        transport = _Transport()
        protocol = connection(made, transport)
        router.release = asyncio.Event()
        protocol.data_received(ONE)
        assert len(router.begun) == 1
        protocol.timeout_keep_alive_handler()
        assert not transport.closed, "a request is under way"
        assert protocol.timeout_keep_alive_task is None
        router.release.set()
        await asyncio.wait_for(transport.written.acquire(), 20)
        protocol.timeout_keep_alive_handler()
        assert not transport.closed, "it was answered a moment ago"
        assert protocol.timeout_keep_alive_task is not None
        assert protocol._idle_since is not None
        protocol._idle_since -= 76
        protocol.timeout_keep_alive_handler()
        assert transport.closed
        protocol.connection_lost(None)
        assert protocol.timeout_keep_alive_task is None


@pytest.mark.parametrize("path", ["/v1/users/alice/sql", "/v1/users/alice/sql?shape=arrays"])
async def test_a_connection_that_stays_idle_after_an_answer_is_closed_on_either_way(path: str) -> None:
    async with listening(FakeRouter(), keep_alive_s=1) as server:
        await converse(server.port, (ONE,))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(20):
            for _ in range(2):
                writer.write(request(path))
                assert (await read_answer(reader)).startswith(b"HTTP/1.1 200")
            assert await reader.read() == b""
        writer.close()
