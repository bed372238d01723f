"""Request bodies within their bound."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.asgi import Message
from gateway.body import BodyBudget, BoundedBody
from gateway.errors import BodyTooLarge, Busy, ClientGone, RequestTimeout


class Sender:
    """The other side of `receive`; what it has not sent it never sends."""

    def __init__(self, parts: Iterable[bytes], *, ends: bool = True, leaves: bool = False) -> None:
        self._messages: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        if ends:
            self._messages.append({"type": "http.request", "body": b"", "more_body": False})
        elif leaves:
            self._messages.append({"type": "http.disconnect"})
        self.sent = 0

    async def __call__(self) -> Message:
        if self.sent == len(self._messages):
            await asyncio.Event().wait()
        self.sent += 1
        return self._messages[self.sent - 1]


def a_body(
    sender: Sender,
    *,
    declared: int | None = None,
    bytes_max: int = 100,
    idle_s: float = 5.0,
    budget: BodyBudget | None = None,
) -> BoundedBody:
    return BoundedBody(
        sender, declared=declared, bytes_max=bytes_max, idle_s=idle_s, budget=budget or BodyBudget(1 << 30)
    )


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_a_body_within_the_bound_arrives_whole_either_way(parts: list[bytes]) -> None:
    async def both() -> None:
        whole = b"".join(parts)
        for read in (a_body(Sender(parts)).read(), gather(a_body(Sender(parts)))):
            if len(whole) > 100:
                with pytest.raises(BodyTooLarge):
                    await read
            else:
                assert await read == whole

    asyncio.run(both())


async def gather(body: BoundedBody) -> bytes:
    return b"".join([chunk async for chunk in body.chunks()])


async def test_declared_length_is_refused_before_anything_is_received() -> None:
    sender = Sender([b"x" * 10])
    body = a_body(sender, declared=101)
    with pytest.raises(BodyTooLarge, match="101"):
        await body.read()
    assert sender.sent == 0
    assert isinstance(body.failure, BodyTooLarge)


async def test_undeclared_length_is_refused_when_it_passes_the_bound() -> None:
    sender = Sender([b"x" * 60] * 5)
    with pytest.raises(BodyTooLarge):
        await a_body(sender).read()
    assert sender.sent == 2


async def test_a_body_that_stops_arriving_times_out() -> None:
    body = a_body(Sender([b"x"], ends=False), idle_s=0.01)
    with pytest.raises(RequestTimeout):
        await body.read()


async def test_client_that_leaves_within_its_body_is_gone() -> None:
    with pytest.raises(ClientGone):
        await a_body(Sender([b"x"], ends=False, leaves=True)).read()


async def test_waiting_for_the_client_to_leave_after_its_body_has_no_time_limit() -> None:
    body = a_body(Sender([b"x"]), idle_s=0.01)
    await body.read()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await body.receive()
    assert body.failure is None


async def test_chunks_wait_for_whoever_takes_them() -> None:
    sender = Sender([b"1", b"2", b"3"])
    chunks = a_body(sender).chunks()
    assert await anext(chunks) == b"1"
    await asyncio.sleep(0)
    assert sender.sent == 1


async def test_bodies_of_all_requests_share_a_budget_until_they_are_released() -> None:
    budget = BodyBudget(100)
    first, second = (a_body(Sender([b"x" * 30, b"x" * 30]), budget=budget) for _ in range(2))
    await first.read()
    with pytest.raises(Busy):
        await second.read()
    second.release()
    assert budget.held == 60
    first.release()
    assert budget.held == 0
    assert len(await a_body(Sender([b"x" * 100]), budget=budget).read()) == 100
