"""One call on the gateway's side of a link: its body going out, its answer coming in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Protocol

from actors.call import Reply
from actors.hosting.body_stream import BodyStream, close_later
from actors.hosting.errors import MalformedFrame
from actors.hosting.flow import ReceiveWindow, SendWindow, pump_body
from storage.errors import HoldfastError

_log = logging.getLogger(__name__)


class CallOwner(Protocol):
    """The link a call goes over."""

    writable: asyncio.Event

    def send_frame(self, data: bytes) -> None: ...
    def credit(self, request: int, count: int) -> None: ...
    def abandon(self, call: LinkCall) -> None: ...
    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...


class LinkCall:
    """From a request's first frame to the last of its answer. `answer` gets the Reply or the error."""

    __slots__ = (
        "_gathered",
        "_owner",
        "_parts",
        "_pump",
        "_received",
        "_stream",
        "_window",
        "answer",
        "id",
        "started_at",
    )

    def __init__(self, owner: CallOwner, id: int, answer: asyncio.Future[Reply], started_at: float) -> None:
        self._owner, self.id, self.answer, self.started_at = owner, id, answer, started_at
        self._window: SendWindow | None = None
        self._pump: asyncio.Task[None] | None = None
        self._stream: BodyStream | None = None
        self._gathered: Reply | None = None
        self._parts: list[bytes] = []
        self._received: ReceiveWindow | None = None

    @property
    def window(self) -> SendWindow:
        """Credit for this call's body."""
        if self._window is None:
            self._window = SendWindow()
        return self._window

    def send_body(self, chunks: AsyncIterator[bytes]) -> None:
        """Send the request's body behind its first frame."""
        self._pump = self._owner.spawn(self._pump_body(chunks))
        self._pump.add_done_callback(lambda _task: close_later(chunks))

    def finish(self, reply: Reply) -> None:
        """The whole answer came in one frame."""
        if self._pump is not None:
            self._pump.cancel()
        if not self.answer.done():
            self.answer.set_result(reply)

    def open(self, reply: Reply, stream: BodyStream) -> None:
        """The answer is a stream, which begins now."""
        self._once()
        self._stream = stream
        if not self.answer.done():
            self.answer.set_result(reply)

    def gather(self, reply: Reply) -> None:
        """The answer is whole, but comes in several frames."""
        self._once()
        self._gathered, self._received = reply, ReceiveWindow()

    def feed(self, data: bytes) -> None:
        """More of the answer."""
        if self._stream is not None:
            self._stream.feed(data)
        elif self._received is not None:
            self._received.receive(len(data))
            self._parts.append(data)
            credit = self._received.take(len(data))
            if credit:
                self._owner.credit(self.id, credit)
        else:
            raise MalformedFrame(f"body frame for request {self.id} before its answer began")

    def end(self) -> None:
        """The answer is complete."""
        if self._stream is not None:
            self._stream.end()
            self.stop()
        elif self._gathered is not None:
            head = self._gathered
            self.finish(Reply(b"".join(self._parts), None, head.content_type, head.headers))

    def fail(self, error: HoldfastError) -> None:
        """The answer is an error, or breaks off with one."""
        self.stop()
        if self._stream is not None:
            self._stream.end(error)
        if not self.answer.done():
            self.answer.set_exception(error)

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        self._owner.abandon(self)

    def stop(self) -> None:
        """Send no more of the body."""
        if self._pump is not None:
            self._pump.cancel()

    def _once(self) -> None:
        if self._stream is not None or self._gathered is not None:
            raise MalformedFrame(f"two answers to request {self.id}")

    async def _pump_body(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            await pump_body(self.id, chunks, self.window, writable=self._owner.writable, send=self._owner.send_frame)
        except Exception as error:
            self._pump = None
            self._owner.abandon(self)
            if isinstance(error, HoldfastError):
                self.fail(error)
            else:
                _log.exception("the body of request %d broke off", self.id)
                self.fail(HoldfastError(f"the request's body broke off: {error!r}"))
        else:
            self._pump = None
