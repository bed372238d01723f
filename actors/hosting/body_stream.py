"""A body that arrives frame by frame, as the async iterator its reader consumes: requests on the host's side, replies
on the gateway's. Bounded by the window of actors.hosting.flow; closing it early tells the sender to stop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from actors.hosting.flow import ReceiveWindow
from storage.errors import HoldfastError


class BodyStream(AsyncIterator[bytes]):
    """Fed by a connection, consumed once by one reader.

    `on_credit(count)` is called when the sender is to learn of consumed bytes, `on_close()` when the reader stops
    before the end.
    """

    __slots__ = ("_arrived", "_chunks", "_closed", "_ended", "_error", "_on_close", "_on_credit", "_window")

    def __init__(self, on_credit: Callable[[int], None], on_close: Callable[[], None]) -> None:
        self._chunks: deque[bytes] = deque()
        self._window = ReceiveWindow()
        self._arrived = asyncio.Event()
        self._on_credit, self._on_close = on_credit, on_close
        self._error: HoldfastError | None = None
        self._ended = self._closed = False

    def feed(self, chunk: bytes) -> None:
        """More bytes came. Raises MalformedFrame when nobody allowed them."""
        self._window.receive(len(chunk))
        if chunk and not self._closed:
            self._chunks.append(chunk)
            self._arrived.set()

    def end(self, error: HoldfastError | None = None) -> None:
        """Nothing more comes; with `error` the reader gets it after what came before."""
        if not self._ended:
            self._ended, self._error = True, error
            self._arrived.set()

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._ended or self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        chunk = self._chunks.popleft()
        if not self._ended:
            credit = self._window.take(len(chunk))
            if credit:
                self._on_credit(credit)
        return chunk

    async def aclose(self) -> None:
        """Stop reading; what came and comes is dropped."""
        if self._closed:
            return
        self._closed = True
        self._chunks.clear()
        self._arrived.set()
        if not self._ended:
            self._on_close()


async def close_stream(stream: AsyncIterator[bytes] | None) -> None:
    """Close what can be closed: generators and body streams have `aclose`."""
    aclose = getattr(stream, "aclose", None)
    if aclose is not None:
        await aclose()


def close_later(stream: AsyncIterator[bytes] | None) -> None:
    """Close a stream that nobody will read."""
    if stream is not None:
        _closing.add(task := asyncio.get_running_loop().create_task(close_stream(stream)))
        task.add_done_callback(_closing.discard)


_closing: set[asyncio.Task[None]] = set()
