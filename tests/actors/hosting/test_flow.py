"""Credit: nobody sends what was not allowed, nobody is allowed more than a window, nothing gets stuck."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.hosting.errors import MalformedFrame
from actors.hosting.flow import CREDIT_STEP_BYTES, ReceiveWindow, SendWindow, as_chunks, pump_body
from actors.hosting.frame import CHUNK_BYTES, MORE, PAYLOAD_BYTES_MAX, WINDOW_BYTES, Frame, FrameDecoder
from tests.actors.hosting.linked import until


@given(st.lists(st.integers(1, CHUNK_BYTES), min_size=1, max_size=60))
def test_sender_and_receiver_agree_and_never_get_stuck(sizes: list[int]) -> None:
    sender, receiver = SendWindow(), ReceiveWindow()
    held: list[int] = []
    for size in sizes:
        while sender.available < size:
            credit = receiver.take(held.pop(0))  # stuck would be: nothing held, no credit, no room
            if credit:
                sender.grant(credit)
            if not held and sender.available < size:
                size = sender.available
        sender.spend(size)
        receiver.receive(size)
        held.append(size)
        assert sum(held) <= WINDOW_BYTES


def test_more_than_the_window_is_refused() -> None:
    receiver = ReceiveWindow()
    receiver.receive(WINDOW_BYTES)
    with pytest.raises(MalformedFrame, match="credit for 0"):
        receiver.receive(1)


def test_credit_comes_in_steps_and_is_never_lost() -> None:
    receiver = ReceiveWindow()
    receiver.receive(CREDIT_STEP_BYTES)
    assert receiver.take(CREDIT_STEP_BYTES - 1) == 0
    assert receiver.take(1) == CREDIT_STEP_BYTES


def test_credit_for_what_was_never_sent_is_refused() -> None:
    with pytest.raises(MalformedFrame, match="window is"):
        SendWindow().grant(1)


async def test_the_pump_stops_at_the_window_and_goes_on_with_credit() -> None:
    sent: list[Frame] = []
    decoder = FrameDecoder(PAYLOAD_BYTES_MAX)
    writable = asyncio.Event()
    writable.set()
    window = SendWindow()
    body = bytes(range(256)) * ((WINDOW_BYTES + CHUNK_BYTES) // 256)
    pump = asyncio.create_task(
        pump_body(3, as_chunks(body), window, writable=writable, send=lambda data: sent.extend(decoder.feed(data)))
    )
    await until(lambda: window.available == 0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert sum(len(frame.payload) for frame in sent) == WINDOW_BYTES and not pump.done()
    window.grant(WINDOW_BYTES)
    await pump
    assert b"".join(frame.payload for frame in sent) == body
    assert [frame.flags for frame in sent[:-1]] == [MORE] * (len(sent) - 1) and sent[-1].flags == 0
    assert max(len(frame.payload) for frame in sent) <= CHUNK_BYTES


async def test_the_pump_waits_for_the_socket_too() -> None:
    sent: list[bytes] = []
    writable = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b""
        yield b"one"

    pump = asyncio.create_task(pump_body(3, chunks(), SendWindow(), writable=writable, send=sent.append))
    for _ in range(5):
        await asyncio.sleep(0)
    assert sent == []
    writable.set()
    await pump
    assert len(sent) == 2
