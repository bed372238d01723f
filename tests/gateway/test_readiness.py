"""/healthz and /readyz."""

from __future__ import annotations

import asyncio

from actors.errors import HostUnavailable
from gateway.app import mark_draining
from gateway.parts import HostsReport
from storage.errors import StoreRefused, Unavailable
from storage.objects.memory import MemoryStore
from storage.objects.port import ObjectInfo
from tests.gateway.kit import Bench, SetClock, assert_problem, bench


class MoodyStore(MemoryStore):
    """`head` does what `mood` says."""

    mood: Exception | None = None
    hangs = False
    heads = 0

    async def head(self, key: str) -> ObjectInfo:
        self.heads += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.mood is not None:
            raise self.mood
        return await super().head(key)


async def test_ready_when_store_and_hosts_are(gateway: Bench) -> None:
    response = await gateway.client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "checks": {"store": "ok", "hosts": {"ready": True}}}


async def test_healthz_depends_on_nothing() -> None:
    clock = SetClock()
    store = MoodyStore(clock)
    store.mood = Unavailable("down")
    async with bench(store=store, clock=clock) as gateway:
        assert (await gateway.client.get("/healthz")).json() == {"status": "ok"}


async def test_not_ready_says_what_is_wrong_and_recovers() -> None:
    clock = SetClock()
    store = MoodyStore(clock)
    async with bench(store=store, clock=clock, ready_timeout_s=0.01) as gateway:
        for mood, hangs, says in (
            (Unavailable("HTTP 500"), False, "storage_unavailable: HTTP 500"),
            (StoreRefused("no such bucket"), False, "store_refused: no such bucket"),
            (None, True, "no answer within 0.01 s"),
        ):
            store.mood, store.hangs = mood, hangs
            clock.advance(10)
            body = assert_problem(await gateway.client.get("/readyz"), 503, "not_ready", retryable=True)
            assert body["details"] == {"checks": {"store": says, "hosts": {"ready": True}}}
        store.mood, store.hangs = None, False
        clock.advance(10)
        assert (await gateway.client.get("/readyz")).status_code == 200


async def test_hosts_that_are_down_make_it_not_ready() -> None:
    async def refuses() -> HostsReport:
        raise HostUnavailable("no host")

    async def starting() -> HostsReport:
        return HostsReport(ready=False, details={"up": 1, "expected": 2})

    for hosts_ready in (refuses, starting):
        async with bench(hosts_ready=hosts_ready) as gateway:
            assert_problem(await gateway.client.get("/readyz"), 503, "not_ready", retryable=True)


async def test_many_probes_are_one_question() -> None:
    clock = SetClock()
    store = MoodyStore(clock)
    async with bench(store=store, clock=clock, ready_ttl_s=2.0) as gateway:
        await asyncio.gather(*(gateway.client.get("/readyz") for _ in range(10)))
        assert store.heads == 1
        clock.advance(2.0)
        await gateway.client.get("/readyz")
        assert store.heads == 2


async def test_draining_gateway_is_not_ready_at_once(gateway: Bench) -> None:
    await gateway.client.get("/readyz")
    mark_draining(gateway.application)
    assert_problem(await gateway.client.get("/readyz"), 503, "not_ready", retryable=True)
    assert (await gateway.client.get("/healthz")).status_code == 200
