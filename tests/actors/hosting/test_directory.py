"""The gateway's way to actors: hosts are found, found again, and calls are sent twice only where that is safe."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from actors.call import Call, Op, Reply
from actors.errors import ActivationEnded, HostUnavailable, Moved, OutcomeUnknownWrite, Overloaded
from actors.hosting.directory import HostRouter
from actors.hosting.endpoint import Endpoint
from actors.hosting.placement import shared_host
from actors.hosting.settings import PlacementSettings, RouterSettings
from storage.clock import SystemClock
from storage.errors import HoldfastError
from storage.layout.address import Address
from tests.actors.hosting.linked import ALICE, SECRET, LinkedHost, a_host, until

WRITE = b'{"sql":"insert into t values (1)"}'
READ = b'{"sql":"select 1"}'
QUICK = RouterSettings(resend_for_s=5, resend_first_s=0.001, resend_max_s=0.01, host_start_timeout_s=5)


class Town:
    """A finder of hosts that the test starts and ends; a host has a new life each time."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.lives: dict[str, list[LinkedHost]] = {}
        self._stacks: dict[str, AsyncExitStack] = {}
        self.searches: list[tuple[str, str | None]] = []
        self.may_find = asyncio.Event()
        self.may_find.set()
        self.fail_with: HoldfastError | None = None

    async def find(self, name: str, address: Address, *, not_life: str | None = None) -> Endpoint:
        self.searches.append((name, not_life))
        await self.may_find.wait()
        if self.fail_with is not None:
            raise self.fail_with
        lives = self.lives.setdefault(name, [])
        if not lives or lives[-1].endpoint.life_id == not_life:
            await self.start(name)
        return self.lives[name][-1].endpoint

    async def start(self, name: str) -> LinkedHost:
        stack = await self._stack.enter_async_context(AsyncExitStack())
        host = await stack.enter_async_context(a_host())
        lives = self.lives.setdefault(name, [])
        host.endpoint = replace(host.endpoint, host=name, life_id=f"{name}/{len(lives)}")
        lives.append(host)
        self._stacks[name] = stack
        return host

    async def end(self, name: str) -> None:
        """As if its process was killed."""
        for connection in list(self.lives[name][-1].server._connections):
            connection.abort()
        await self._stacks[name].aclose()

    def host(self, name: str = "host/0") -> LinkedHost:
        return self.lives[name][-1]


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        yield Town(stack)


@pytest.fixture
async def router(town: Town) -> AsyncIterator[HostRouter]:
    router = HostRouter(
        town,
        PlacementSettings(mode="shared", shared_hosts=1),
        secret=SECRET,
        machine="here",
        nonce=lambda: os.urandom(32),
        clock=SystemClock(),
        settings=QUICK,
    )
    yield router
    await router.close()


async def held_call(town: Town, router: HostRouter, body: bytes, **args: object) -> asyncio.Task[Reply]:
    """A call that its host has taken and not answered."""
    call = asyncio.create_task(router.call(ALICE, Op.SQL, {"hold": True, **args}, body))
    await until(lambda: town.lives.get("host/0") and town.host().source.made and town.host().activation().held)
    return call


async def test_a_call_finds_its_host_and_stays_with_it(town: Town, router: HostRouter) -> None:
    for number in range(3):
        assert (await router.call(ALICE, Op.SQL, {}, b"%d" % number)).body == b"%d" % number
    assert town.searches == [("host/0", None)]


async def test_calls_that_come_together_share_one_search(town: Town, router: HostRouter) -> None:
    town.may_find.clear()
    calls = [asyncio.create_task(router.call(Address(f"u{n}", "p"), Op.SQL, {}, b"x")) for n in range(20)]
    await until(lambda: town.searches)
    calls[0].cancel()
    town.may_find.set()
    replies = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(replies[0], asyncio.CancelledError)
    assert [reply.body for reply in replies[1:] if isinstance(reply, Reply)] == [b"x"] * 19
    assert len(town.searches) == 1


async def test_a_host_that_was_started_again_is_found_by_itself(town: Town, router: HostRouter) -> None:
    await router.call(ALICE, Op.SQL, {}, WRITE)
    await town.end("host/0")
    assert (await router.call(ALICE, Op.SQL, {}, WRITE)).body == WRITE
    assert town.searches == [("host/0", None), ("host/0", "host/0/0")] and len(town.lives["host/0"]) == 2


async def test_a_connection_that_broke_is_made_again_without_a_search(town: Town, router: HostRouter) -> None:
    await router.call(ALICE, Op.SQL, {}, b"x")
    for connection in list(town.host().server._connections):
        connection.abort()
    assert (await router.call(ALICE, Op.SQL, {}, READ)).body == READ
    assert len(town.searches) == 1


async def test_a_write_that_may_have_run_is_not_sent_again(town: Town, router: HostRouter) -> None:
    call = await held_call(town, router, WRITE)
    await town.end("host/0")
    with pytest.raises(OutcomeUnknownWrite) as caught:
        await call
    assert not caught.value.retryable
    assert len(town.lives["host/0"]) == 1
    assert (await router.call(ALICE, Op.SQL, {}, WRITE)).body == WRITE


@pytest.mark.parametrize(("body", "args"), [(READ, {}), (WRITE, {"idempotency_key": "k"})], ids=["read", "keyed"])
async def test_what_may_run_twice_is_sent_again(
    town: Town, router: HostRouter, body: bytes, args: dict[str, object]
) -> None:
    call = await held_call(town, router, body, **args)
    await town.end("host/0")
    await until(lambda: len(town.lives["host/0"]) == 2 and town.host().source.made and town.host().activation().held)
    town.host().activation().let_go()
    assert (await call).body == body


async def test_a_call_that_takes_one_host_after_the_other_along_is_given_up(town: Town, router: HostRouter) -> None:
    call = await held_call(town, router, READ)
    for life in range(3):
        await until(lambda life=life: len(town.lives["host/0"]) == life + 1 and town.host().source.made)  # type: ignore[misc]
        await until(lambda: town.host().activation().held)
        await town.end("host/0")
    with pytest.raises(HostUnavailable):
        await call
    assert len(town.lives["host/0"]) == 3


async def test_what_surely_did_not_run_is_sent_again(town: Town, router: HostRouter) -> None:
    host = await town.start("host/0")
    refusals = [Moved("m"), ActivationEnded("a", retry_after_s=0.001), HostUnavailable("h")]
    serve = host.server.submit

    def submit(address: Address, call: Call) -> None:
        if refusals:
            call.fail(refusals.pop())
        else:
            serve(address, call)

    host.server.submit = submit
    assert (await router.call(ALICE, Op.SQL, {}, WRITE)).body == WRITE
    assert refusals == []


async def test_overload_is_the_callers_to_repeat(town: Town, router: HostRouter) -> None:
    with pytest.raises(Overloaded):
        await router.call(ALICE, Op.SQL, {"fail": "overloaded"}, READ)
    assert len(town.host().calls) == 1


async def test_repeating_ends_with_the_last_error_when_its_time_is_over(town: Town, router: HostRouter) -> None:
    router._settings = replace(QUICK, resend_for_s=0.05)
    with pytest.raises(Moved):
        await router.call(ALICE, Op.SQL, {"fail": "moved"}, READ)
    assert len(town.host().calls) > 1
    town.fail_with = HostUnavailable("no host")
    with pytest.raises(HostUnavailable, match="no host"):
        await HostRouter(
            town, PlacementSettings(), secret=SECRET, machine="here", nonce=lambda: os.urandom(32), clock=SystemClock(),
            settings=replace(QUICK, resend_for_s=0.05),
        ).call(ALICE, Op.SQL, {}, READ)  # fmt: skip


async def test_a_draining_host_is_left_for_the_next(town: Town, router: HostRouter) -> None:
    await router.call(ALICE, Op.SQL, {}, b"x")
    host = town.host()
    host.server.go_away(ActivationEnded("draining"))
    call = asyncio.create_task(router.call(ALICE, Op.SQL, {}, WRITE))
    await asyncio.sleep(0.01)
    await town.end("host/0")
    assert (await call).body == WRITE and host is not town.host()


async def test_an_upload_that_was_read_in_part_is_not_sent_again(town: Town, router: HostRouter) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(100_000)

    call = asyncio.create_task(router.call(ALICE, Op.IMPORT, {"hold": True}, stream=chunks()))
    await until(lambda: town.lives.get("host/0") and town.host().source.made and town.host().activation().held)
    town.host().activation().held[0].fail(Moved("not run"))
    with pytest.raises(HostUnavailable, match="read in part"):
        await call


async def test_an_upload_nobody_read_is_sent_to_the_next_host(town: Town, router: HostRouter) -> None:
    town.fail_with = HostUnavailable("not yet")

    async def chunks() -> AsyncIterator[bytes]:
        yield b"12345"

    call = asyncio.create_task(router.call(ALICE, Op.IMPORT, {}, stream=chunks()))
    await until(lambda: len(town.searches) > 1)
    town.fail_with = None
    assert (await call).body == b"5"


async def test_links_past_the_bound_are_closed_when_nobody_uses_them(town: Town) -> None:
    router = HostRouter(
        town, PlacementSettings(), secret=SECRET, machine="here", nonce=lambda: os.urandom(32), clock=SystemClock(),
        settings=replace(QUICK, links_max=2, addresses_cached_max=2),
    )  # fmt: skip
    for user in "abcde":
        assert (await router.call(Address(user, "p"), Op.SQL, {}, b"x")).body == b"x"
    assert len(router._links) == 2 and len(router._names) == 2
    assert (await router.call(Address("a", "p"), Op.SQL, {}, b"x")).body == b"x"
    await router.close()


async def test_a_closed_router_answers_that_it_is_closing(town: Town, router: HostRouter) -> None:
    await router.call(ALICE, Op.SQL, {}, b"x")
    await router.close()
    with pytest.raises(HostUnavailable):
        await router.call(ALICE, Op.SQL, {}, b"x")


def test_shared_hosts_have_numbers() -> None:
    assert shared_host(0) == "host/0"
