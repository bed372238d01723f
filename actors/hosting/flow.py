"""Credit-based flow control of one body in one direction, and the pump that obeys it.

Each body may have WINDOW_BYTES under way that its reader has not taken; the reader gives credit back as it consumes, in
steps of a quarter window. So one slow reader holds at most a window of its own body in memory, on either side, and no
other request on the same connection waits for it. A body that fits one frame never waits for credit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from actors.hosting.errors import MalformedFrame
from actors.hosting.frame import BODY, CHUNK_BYTES, MORE, WINDOW_BYTES, encode_frame

CREDIT_STEP_BYTES = WINDOW_BYTES // 4


class SendWindow:
    """What may be sent now."""

    __slots__ = ("_open", "available")

    def __init__(self) -> None:
        self.available = WINDOW_BYTES
        self._open = asyncio.Event()
        self._open.set()

    def spend(self, count: int) -> None:
        """`count` bytes were sent."""
        assert count <= self.available, f"{count} bytes sent with credit for {self.available}"
        self.available -= count
        if self.available == 0:
            self._open.clear()

    def grant(self, count: int) -> None:
        """The reader took `count` bytes. Raises MalformedFrame when it claims more than were sent."""
        if count == 0 or self.available + count > WINDOW_BYTES:
            raise MalformedFrame(f"credit of {count} bytes on top of {self.available}, the window is {WINDOW_BYTES}")
        self.available += count
        self._open.set()

    async def wait(self) -> None:
        """Until at least one byte may be sent."""
        await self._open.wait()


class ReceiveWindow:
    """What may still come, and what the reader has taken but the sender does not know yet."""

    __slots__ = ("_expected", "_taken")

    def __init__(self) -> None:
        self._expected = WINDOW_BYTES
        self._taken = 0

    def receive(self, count: int) -> None:
        """`count` bytes came. Raises MalformedFrame when the sender had no credit for them."""
        if count > self._expected:
            raise MalformedFrame(f"{count} body bytes with credit for {self._expected}")
        self._expected -= count

    def take(self, count: int) -> int:
        """The reader consumed `count` bytes: the credit to announce now, 0 while it is less than a step."""
        self._taken += count
        if self._taken < CREDIT_STEP_BYTES:
            return 0
        credit, self._taken = self._taken, 0
        self._expected += credit
        return credit


async def pump_body(
    request: int,
    chunks: AsyncIterator[bytes],
    window: SendWindow,
    *,
    writable: asyncio.Event,
    send: Callable[[bytes], None],
) -> None:
    """Send `chunks` as BODY frames of at most CHUNK_BYTES, as credit and the socket allow, then the last, empty one."""
    async for chunk in chunks:
        view = memoryview(chunk)
        while view:
            await window.wait()
            await writable.wait()
            count = min(len(view), CHUNK_BYTES, window.available)
            window.spend(count)
            send(encode_frame(BODY, request, bytes(view[:count]), MORE))
            view = view[count:]
    send(encode_frame(BODY, request))


async def as_chunks(body: bytes) -> AsyncIterator[bytes]:
    """A whole body as a stream of one chunk."""
    yield body
