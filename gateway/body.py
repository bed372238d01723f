"""A request's body, never more of it than its bound: read whole, or passed on as a stream with back-pressure.

A declared length beyond the bound is refused before a byte is read (so that `Expect: 100-continue` saves the upload);
an undeclared one as soon as it passes the bound. A body that stops arriving ends in `RequestTimeout`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from gateway.asgi import Message, Receive
from gateway.errors import BodyTooLarge, Busy, ClientGone, RequestTimeout

_Failure = TypeVar("_Failure", BodyTooLarge, RequestTimeout, ClientGone)


class BodyBudget:
    """What all requests under way may hold of bodies read whole, in bytes."""

    __slots__ = ("bytes_max", "held")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.held = 0


class BoundedBody:
    """Wraps ASGI's `receive`. Whoever handles the request may change `bytes_max` before it reads.

    What `read` gathers counts against the budget until `release`.
    """

    __slots__ = (
        "_budget",
        "_complete",
        "_declared",
        "_held",
        "_idle_s",
        "_receive",
        "bytes_max",
        "failure",
        "received",
    )

    def __init__(
        self, receive: Receive, *, declared: int | None, bytes_max: int, idle_s: float, budget: BodyBudget
    ) -> None:
        self._receive = receive
        self._budget = budget
        self._held = 0
        self._declared = declared
        self._idle_s = idle_s
        self._complete = False
        self.bytes_max = bytes_max
        self.received = 0
        self.failure: BodyTooLarge | RequestTimeout | ClientGone | None = None

    @property
    def declared(self) -> int | None:
        """Content-Length, in bytes."""
        return self._declared

    async def receive(self) -> Message:
        """ASGI's receive, within the bound. Raises BodyTooLarge, RequestTimeout."""
        if self._complete:
            return await self._receive()
        if self._declared is not None and self._declared > self.bytes_max:
            raise self._fail(BodyTooLarge(f"body of {self._declared} bytes, at most {self.bytes_max} are taken"))
        try:
            async with asyncio.timeout(self._idle_s):
                message = await self._receive()
        except TimeoutError as error:
            raise self._fail(RequestTimeout(f"no more of the body for {self._idle_s:g} s")) from error
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
            if self.received > self.bytes_max:
                raise self._fail(BodyTooLarge(f"body of more than the {self.bytes_max} bytes that are taken"))
        if not message.get("more_body", False):
            self._complete = True
        return message

    async def read(self) -> bytes:
        """The whole body. Raises BodyTooLarge, RequestTimeout, Busy (the budget is used up), ClientGone."""
        message = await self.receive()
        first = self._hold(self._content(message))
        if not message.get("more_body", False):
            return first
        parts = [first]
        while message.get("more_body", False):
            message = await self.receive()
            parts.append(self._hold(self._content(message)))
        return b"".join(parts)

    def release(self) -> None:
        """The request is over: what was read is held no longer."""
        self._budget.held -= self._held
        self._held = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; the sender waits while nobody takes the next chunk."""
        more = True
        while more:
            message = await self.receive()
            content = self._content(message)
            more = message.get("more_body", False)
            if content:
                yield content

    def _hold(self, content: bytes) -> bytes:
        budget = self._budget
        if budget.held + len(content) > budget.bytes_max:
            raise Busy(f"bodies of {budget.held} bytes are under way, at most {budget.bytes_max}", retry_after_s=1)
        budget.held += len(content)
        self._held += len(content)
        return content

    def _content(self, message: Message) -> bytes:
        if message["type"] == "http.disconnect":
            raise self._fail(ClientGone("the client closed the connection while its body was read"))
        content: bytes = message.get("body", b"")
        return content

    def _fail(self, failure: _Failure) -> _Failure:
        self.failure = failure
        return failure
