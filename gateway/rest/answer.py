"""An actor's reply as an HTTP answer: whole bodies as they are, streams chunk by chunk at the client's pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

from actors.call import Reply
from gateway.asgi import Headers, Message, Receive, Send
from gateway.errors import ClientGone

STALL_S = 60.0


async def send_reply(reply: Reply, receive: Receive, send: Send, *, headers: Headers | None = None) -> None:
    """Send a reply with status 200. The stream is closed however the answer ends."""
    head = reply_headers(reply, headers)
    if reply.stream is None:
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": reply.body})
        return
    await send_stream(reply.stream, receive, send, headers=head)


def reply_headers(reply: Reply, more: Headers | None = None) -> Headers:
    """The headers of a reply's answer; a whole body's length is among them."""
    head: Headers = [(b"content-type", reply.content_type.encode())]
    if reply.headers:
        head += [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
    if more:
        head += more
    if reply.stream is None:
        head.append((b"content-length", b"%d" % len(reply.body)))
    return head


async def send_stream(chunks: AsyncIterator[bytes], receive: Receive, send: Send, *, headers: Headers) -> None:
    """Send chunks as they come. The first is awaited before the status, so that an early failure is a proper error.

    A client that leaves ends the stream at once: sending to it would go on for ever into nothing.
    """
    sending = asyncio.create_task(_pump(chunks, send, headers))
    leaving = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)
        if isinstance(chunks, _Closable):
            await chunks.aclose()


@runtime_checkable
class _Closable(Protocol):
    async def aclose(self) -> None: ...


async def _pump(chunks: AsyncIterator[bytes], send: Send, headers: Headers) -> None:
    first = await anext(chunks, b"")
    await _send(send, {"type": "http.response.start", "status": 200, "headers": headers})
    await _send(send, {"type": "http.response.body", "body": first, "more_body": True})
    async for chunk in chunks:
        await _send(send, {"type": "http.response.body", "body": chunk, "more_body": True})
        await asyncio.sleep(0)  # chunks at hand and a client that left: nothing else here would ever let others run
    await _send(send, {"type": "http.response.body", "body": b""})


async def _send(send: Send, message: Message) -> None:
    """One message; a client that takes nothing for `STALL_S` seconds is given up."""
    try:
        async with asyncio.timeout(STALL_S):
            await send(message)
    except TimeoutError as error:
        raise ClientGone(f"the client took nothing for {STALL_S:g} s") from error


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
