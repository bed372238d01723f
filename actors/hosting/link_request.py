"""One request on the host's side of a link: its body coming in, its answer going out.

The answer of a call goes into one frame when it is small; otherwise, and for streams, a pump task sends it as credit
allows. Whatever comes after the last frame of the answer, or after a cancel, is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final, Protocol

from actors.call import Call, Reply
from actors.errors import ResultTooLarge
from actors.hosting.body_stream import BodyStream, close_later
from actors.hosting.errors import MalformedFrame
from actors.hosting.flow import ReceiveWindow, SendWindow, as_chunks, pump_body
from actors.hosting.frame import CHUNK_BYTES, MORE, STREAM, WHOLE_BODY_BYTES_MAX, encode_error, encode_reply
from actors.hosting.wire_error import error_to_head
from storage.errors import HoldfastError
from storage.layout.address import Address

HELD_BYTES_MAX: Final = 256 << 20
_log = logging.getLogger(__name__)


class RequestOwner(Protocol):
    """The connection a request came on."""

    writable: asyncio.Event
    held_bytes: int

    def send(self, data: bytes) -> None: ...
    def credit(self, request: int, count: int) -> None: ...
    def forget(self, request: LinkRequest) -> None: ...
    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...


class LinkRequest:
    """From the first frame of a request to the last of its answer."""

    __slots__ = (
        "_done",
        "_owner",
        "_parts",
        "_pump",
        "_received",
        "_stream",
        "_window",
        "address",
        "call",
        "held_bytes",
        "id",
    )

    def __init__(self, owner: RequestOwner, id: int, address: Address) -> None:
        self._owner, self.id, self.address = owner, id, address
        self.call: Call | None = None
        self.held_bytes = 0
        self._done = False
        self._parts: list[bytes] | None = None
        self._received: ReceiveWindow | None = None
        self._stream: BodyStream | None = None
        self._window: SendWindow | None = None
        self._pump: asyncio.Task[None] | None = None

    # --- the body coming in -------------------------------------------------------------------------------------

    def open_stream(self, first: bytes) -> BodyStream:
        """The request's body as a stream, beginning with `first`."""
        self._stream = BodyStream(lambda count: self._owner.credit(self.id, count), lambda: None)
        self._stream.feed(first)
        return self._stream

    def gather(self, first: bytes) -> None:
        """Collect the body as a whole, beginning with `first`."""
        self._parts, self._received = [], ReceiveWindow()
        self.gather_more(first)

    def gather_more(self, part: bytes) -> None:
        assert self._parts is not None and self._received is not None
        self._received.receive(len(part))
        self._parts.append(part)
        self._hold(len(part))
        credit = self._received.take(len(part))
        if credit:
            self._owner.credit(self.id, credit)

    def whole_body(self) -> bytes:
        """What `gather` collected."""
        parts, self._parts = self._parts or [], None
        self._hold(-self.held_bytes)
        return b"".join(parts)

    @property
    def is_gathering(self) -> bool:
        return self._parts is not None

    def feed(self, data: bytes, last: bool) -> None:
        """A BODY frame of a streamed request."""
        if self._stream is None:
            raise MalformedFrame(f"body frame for request {self.id}, whose body is complete")
        self._stream.feed(data)
        if last:
            self._stream.end()

    # --- the answer going out -----------------------------------------------------------------------------------

    def reply(self, reply: Reply) -> None:
        """The call's answer."""
        if self._done:
            close_later(reply.stream)
            return
        if reply.stream is None and len(reply.body) <= CHUNK_BYTES:
            try:
                self._owner.send(encode_reply(self.id, reply, reply.body))
            except HoldfastError as error:
                self.fail(error)
                return
            self._finish()
            return
        self._reply_at_length(reply)

    def fail(self, error: HoldfastError) -> None:
        """The call's answer is an error; ends the request, also within a stream."""
        if not self._done:
            self._owner.send(encode_error(self.id, error_to_head(error)))
            self._finish()

    def grant(self, count: int) -> None:
        """The other side took `count` bytes of the answer."""
        if self._window is not None:
            self._window.grant(count)

    def cancel(self, why: HoldfastError) -> None:
        """Nobody waits for the answer any more."""
        if self._done:
            return
        if self.call is not None:
            self.call.abandoned = True
        self._finish(why)

    def _reply_at_length(self, reply: Reply) -> None:
        chunks = reply.stream if reply.stream is not None else as_chunks(reply.body)
        flags = MORE | STREAM if reply.stream is not None else MORE
        if reply.stream is None and len(reply.body) > WHOLE_BODY_BYTES_MAX:
            flags = MORE | STREAM
        if self._owner.held_bytes + len(reply.body) > HELD_BYTES_MAX and self._owner.held_bytes:
            self.fail(
                ResultTooLarge(
                    f"it ran, but its answer of {len(reply.body)} bytes is too much on top of the "
                    f"{self._owner.held_bytes} that wait to be read on this link"
                )
            )
            return
        try:
            self._owner.send(encode_reply(self.id, reply, b"", flags))
        except HoldfastError as error:
            close_later(reply.stream)
            self.fail(error)
            return
        self._hold(len(reply.body))
        self._window = SendWindow()
        self._pump = self._owner.spawn(self._pump_answer(chunks, self._window))
        self._pump.add_done_callback(lambda _task: close_later(chunks))

    async def _pump_answer(self, chunks: AsyncIterator[bytes], window: SendWindow) -> None:
        try:
            await pump_body(self.id, chunks, window, writable=self._owner.writable, send=self._owner.send)
        except HoldfastError as error:
            self._pump = None
            self.fail(error)
        except Exception as error:
            _log.exception("the answer's stream of request %d failed unexpectedly", self.id)
            self._pump = None
            self.fail(HoldfastError(f"the answer's stream failed: {error!r}"))
        else:
            self._pump = None
            self._finish()

    def _hold(self, count: int) -> None:
        self.held_bytes += count
        self._owner.held_bytes += count

    def _finish(self, why: HoldfastError | None = None) -> None:
        self._done = True
        self._hold(-self.held_bytes)
        if self._stream is not None:
            self._stream.end(why or MalformedFrame("the request was answered before its body was read"))
        if self._pump is not None:
            self._pump.cancel()
        self._owner.forget(self)
