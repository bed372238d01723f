"""How requests on the short way end, when they do not simply end well; and which of them never begin."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec
import pytest

from actors.call import Reply
from actors.durability.offload import inline
from actors.errors import ConstraintFailed, NotInActorMode, OutcomeUnknownWrite
from actors.hosting.errors import LinkLost
from actors.r2mode.router import R2Router
from actors.settings import ActorSettings
from gateway.direct_protocol import DirectProtocol
from gateway.modes import ModeParts
from gateway.rest.services import services_of
from storage.errors import HoldfastError
from storage.flags.cache import FlagCache
from storage.flags.flag import Flag, ServedMode
from storage.objects.memory import MemoryStore
from storage.r2_sqlite.files import R2Files
from storage.r2_sqlite.settings import R2ModeSettings
from storage.rollout.store import RolloutCache, RolloutStore
from tests.gateway.kit import ENV, Asked, FakeRouter, SetClock
from tests.gateway.listening import Listening, listening
from tests.gateway.modal import Flags
from tests.gateway.raw_http import converse, read_answer, request

ONE = request()


async def warm(server: Listening) -> None:
    """The user is known and the actor found."""
    await converse(server.port, (ONE,))


async def ask(server: Listening, data: bytes = ONE) -> bytes:
    return (await converse(server.port, (data,))).answers[0]


def body_of(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])
    return found


async def test_a_client_that_leaves_abandons_its_call() -> None:
    async with listening(FakeRouter()) as server:
        await warm(server)
        server.router.release = asyncio.Event()
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(ONE)
        await server.router.arrivals.acquire()
        await server.router.arrivals.acquire()
        assert server.metrics.in_flight == 1
        writer.transport.abort()
        await server.settled()
        assert server.router.begun[-1].abandoned
        assert server.bench.lines()[-1]["status"] == 499
        assert services_of(server.bench.application).bodies.held == 0


async def test_a_stop_waits_for_a_call_and_ends_its_connection() -> None:
    async with listening(FakeRouter()) as server:
        await warm(server)
        server.router.release = asyncio.Event()
        waiting = asyncio.create_task(converse(server.port, (ONE,)))
        await server.router.arrivals.acquire()
        await server.router.arrivals.acquire()
        server.stop.set()
        await asyncio.sleep(0.3)
        assert not server.serving.done()
        server.router.release.set()
        found = await waiting
        assert found.answers[0].startswith(b"HTTP/1.1 200")
        assert found.closed
        await asyncio.wait_for(server.serving, 20)


async def test_a_stop_gives_up_a_call_that_does_not_end() -> None:
    async with listening(FakeRouter(), shutdown_grace_s=1) as server:
        await warm(server)
        server.router.release = asyncio.Event()
        waiting = asyncio.create_task(ask(server))
        await server.router.arrivals.acquire()
        await server.router.arrivals.acquire()
        server.stop.set()
        await asyncio.wait_for(server.serving, 20)
        answer = await waiting
        assert body_of(answer)["code"] == "outcome_unknown"
        assert b"\r\nconnection: close" in answer
        assert server.router.begun[-1].abandoned


async def test_a_request_that_is_half_there_is_given_up_by_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DirectProtocol, "body_patience_s", 60.0)
    async with listening(FakeRouter(), shutdown_grace_s=1) as server:
        await warm(server)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(ONE[:-3])
        await asyncio.sleep(0.05)
        server.stop.set()
        await asyncio.wait_for(server.serving, 20)
        assert body_of(await read_answer(reader))["code"] == "outcome_unknown"
        writer.close()


async def test_a_client_that_leaves_with_its_request_half_sent_is_recorded() -> None:
    async with listening(FakeRouter()) as server:
        await warm(server)
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(ONE[:-3])
        await asyncio.sleep(0.01)
        writer.close()
        for _ in range(1000):
            if len(server.bench.lines()) == 2:
                break
            await asyncio.sleep(0.005)
        assert server.bench.lines()[-1]["status"] == 499


@pytest.mark.parametrize("settings", [{"requests_max": 1}, {"bodies_bytes_max": 30, "body_bytes_max": 30}])
async def test_beyond_the_bounds_both_ways_count_together(settings: dict[str, Any]) -> None:
    async with listening(FakeRouter(), **settings) as server:
        await warm(server)
        server.router.release = asyncio.Event()
        waiting = asyncio.create_task(ask(server))
        await server.router.arrivals.acquire()
        await server.router.arrivals.acquire()
        assert body_of(await ask(server))["code"] == "overloaded"
        server.router.release.set()
        assert body_of(await waiting) == {"ok": "sql"}
        assert len(server.router.begun) == 1
        assert services_of(server.bench.application).bodies.held == 0


async def test_without_a_link_the_long_way_looks_for_the_host() -> None:
    async with listening(FakeRouter(linked=False)) as server:
        await warm(server)
        assert body_of(await ask(server)) == {"ok": "sql"}
        assert not server.router.begun


async def test_pages_of_other_origins_take_the_long_way() -> None:
    async with listening(FakeRouter(), cors_origins=("http://app.example",)) as server:
        await warm(server)
        await ask(server)
        assert not server.router.begun


async def test_the_first_failure_is_not_the_answer_when_the_router_can_go_on() -> None:
    def second(error: HoldfastError) -> Reply:
        if isinstance(error, LinkLost):
            return Reply(b'{"again":true}')
        raise OutcomeUnknownWrite("not twice")

    async with listening(FakeRouter(second=second)) as server:
        await warm(server)
        server.router.fail_with(LinkLost("gone", may_have_run=False))
        assert body_of(await ask(server)) == {"again": True}
        server.router.fail_with(ConstraintFailed("no"))
        assert body_of(await ask(server))["code"] == "outcome_unknown"
        server.router.answer = None
        assert body_of(await ask(server)) == {"ok": "sql"}
        assert len(server.router.begun) == 3


class _Files(R2Router):
    """The r2 side: answers by itself."""

    async def call(self, *_: object, **__: object) -> Reply:
        return Reply(b'{"from":"file"}')


def mode_parts(mode: ServedMode) -> ModeParts:
    clock, rng = SetClock(), random.Random(1)
    store = MemoryStore(clock)
    rollouts = RolloutStore(store, ENV, clock=clock, rng=rng)
    files = R2Files(store, ENV, clock=clock, rng=rng, settings=R2ModeSettings(), offload=inline)
    return ModeParts(
        files=_Files(files, settings=ActorSettings(), file_bytes_max=1 << 26, clock=clock),
        flags=FlagCache(Flags({"alice": Flag(mode)}), clock, ttl_s=30.0, users_max=10),
        rollouts=RolloutCache(rollouts, clock, ttl_s=10.0),
    )


async def test_only_actors_that_were_found_are_asked_on_the_short_way_and_the_answer_says_why() -> None:
    async with listening(FakeRouter(), modes=mode_parts(ServedMode.ACTOR)) as server:
        long = await ask(server)
        assert not server.router.begun
        assert await ask(server) == long
        assert b"\r\nholdfast-mode-reason: flag\r\n" in long
        assert len(server.router.begun) == 1
    async with listening(FakeRouter(), modes=mode_parts(ServedMode.R2)) as server:
        for _ in range(2):
            assert body_of(await ask(server)) == {"from": "file"}
        assert not server.router.begun


async def test_an_actor_that_has_left_sends_the_short_way_to_the_file() -> None:
    def left(asked: Asked) -> Reply:
        raise NotInActorMode("the file serves it")

    async with listening(FakeRouter(), modes=mode_parts(ServedMode.ACTOR)) as server:
        await warm(server)
        server.router.answer = left
        answer = await ask(server)
        assert body_of(answer) == {"from": "file"}
        assert b"\r\nholdfast-mode: r2\r\n" in answer
        assert len(server.router.begun) == 1
        assert body_of(await ask(server)) == {"from": "file"}
        assert len(server.router.begun) == 1, "it is not asked again"
