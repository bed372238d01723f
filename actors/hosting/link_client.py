"""The gateway's side of a link: many calls at once over one connection to a host.

Requests gather and are written once per loop turn. A call whose caller is cancelled is cancelled on the host too. When
the connection ends, every call under way learns whether it may have run (`LinkLost.may_have_run`): not if it was still
unwritten or the host said that it did not take it, or if an idle socket refused the very write that carried it (with
nothing else under way, a small write goes into a socket's buffer whole or not at all). Answers beyond one frame arrive
in a window of their own each, so a caller that does not read its stream holds up nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, cast

from actors.call import Op, Reply
from actors.errors import Overloaded
from actors.hosting.body_stream import BodyStream
from actors.hosting.endpoint import Endpoint
from actors.hosting.errors import LinkLost, MalformedFrame, NobodyListens
from actors.hosting.flow import as_chunks
from actors.hosting.frame import (
    BODY,
    CANCEL,
    CHUNK_BYTES,
    CREDIT,
    ERROR,
    GOAWAY,
    MORE,
    PAYLOAD_BYTES_MAX,
    PING,
    PONG,
    REPLY,
    REQUEST_ID_MAX,
    REQUESTS_MAX,
    STREAM,
    Frame,
    FrameDecoder,
    decode_credit,
    decode_error,
    decode_goaway,
    decode_reply,
    encode_credit,
    encode_frame,
    encode_request,
)
from actors.hosting.handshake import ClientHandshake
from actors.hosting.link_call import LinkCall
from actors.hosting.wire_error import error_from_head
from storage.errors import HoldfastError
from storage.layout.address import Address

WRITE_HIGH_BYTES: Final = 1 << 20
WATCH_INTERVAL_S: Final = 1.0
ATOMIC_BYTES_MAX: Final = 32 << 10


class HostLink(asyncio.Protocol):
    """One connection to a host. Made by `HostLink.connect`; of no more use once `usable` is false."""

    def __init__(
        self, endpoint: Endpoint, handshake: ClientHandshake, *, reply_timeout_s: float, ping_after_s: float,
        ping_timeout_s: float,
    ) -> None:  # fmt: skip
        loop = asyncio.get_running_loop()
        self.endpoint = endpoint
        self._loop, self._handshake = loop, handshake
        self._ready: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()
        self._reply_timeout_s, self._ping_after_s, self._ping_timeout_s = reply_timeout_s, ping_after_s, ping_timeout_s
        self._decoder = FrameDecoder()
        self._out: list[bytes] = []
        self._calls: dict[int, LinkCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_id = self._unwritten_after = 0
        self._taken_up_to = REQUEST_ID_MAX
        self._heard_at = loop.time()
        self._pinged_at: float | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._draining = self._all_or_nothing = self._abandoned = False
        self.writable = asyncio.Event()
        self.writable.set()

    @classmethod
    async def connect(
        cls, endpoint: Endpoint, *, secret: bytes, nonce: bytes, connect_timeout_s: float = 5.0,
        reply_timeout_s: float = 120.0, ping_after_s: float = 15.0, ping_timeout_s: float = 90.0,
        local_machine: str | None = None,
    ) -> HostLink:  # fmt: skip
        """A ready link: over the Unix socket when the host is on this machine, else over TCP. Raises LinkLost (nothing
        ran; NobodyListens: that life is over), LinkRefused, UnsupportedVersion."""
        link = cls(endpoint, ClientHandshake(secret, nonce), reply_timeout_s=reply_timeout_s,
                   ping_after_s=ping_after_s, ping_timeout_s=ping_timeout_s)  # fmt: skip
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(connect_timeout_s):
                if endpoint.unix_path and local_machine in (None, endpoint.machine):
                    await loop.create_unix_connection(lambda: link, endpoint.unix_path)
                elif endpoint.tcp_port:
                    await loop.create_connection(lambda: link, endpoint.tcp_host, endpoint.tcp_port)
                else:
                    raise LinkLost(f"no way to {endpoint} from here", may_have_run=False)
                await link._ready
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise NobodyListens(f"nobody listens at {endpoint}") from error
        except (OSError, TimeoutError) as error:
            link.abort()
            raise LinkLost(
                f"cannot connect to {endpoint}: {error or 'no answer in time'}", may_have_run=False
            ) from error
        except BaseException:
            link.abort()
            raise
        return link

    @property
    def usable(self) -> bool:
        """Further calls make sense."""
        return not self._draining and not self._ended.done()

    @property
    def open_calls(self) -> int:
        return len(self._calls)

    async def call(
        self, address: Address, op: Op, args: Mapping[str, object], body: bytes = b"", *,
        stream: AsyncIterator[bytes] | None = None,
    ) -> Reply:  # fmt: skip
        """The actor's answer. Raises the error it answered, or LinkLost. A reply's `stream` is to be read to its end or
        closed."""
        call = self.begin(address, op, args, body, stream)
        try:
            return await call.answer
        except asyncio.CancelledError:
            self.abandon(call)
            raise

    async def close(self) -> None:
        """End the connection; calls under way fail."""
        self._flush()
        if self._transport is not None:
            self._transport.close()
            await asyncio.wait([self._ended])

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    # --- requests -----------------------------------------------------------------------------------------------

    def begin(
        self, address: Address, op: Op, args: Mapping[str, object], body: bytes,
        stream: AsyncIterator[bytes] | None = None,
    ) -> LinkCall:  # fmt: skip
        """The call on its way; who cancels its `answer` abandons it too. Raises LinkLost (nothing ran), Overloaded."""
        if not self.usable:
            raise LinkLost(f"the link to {self.endpoint} has ended or takes no more calls", may_have_run=False)
        if len(self._calls) >= REQUESTS_MAX:
            raise Overloaded(f"{REQUESTS_MAX} calls are under way to {self.endpoint}", retry_after_s=0.5)
        request = self._last_id + 1
        flags, first = 0, body
        if stream is not None:
            flags = MORE | STREAM
        elif len(body) > CHUNK_BYTES:
            flags, first, stream = MORE, b"", as_chunks(body)
        self._send(encode_request(request, address.user, address.profile, op.value, args, first, flags))
        self._last_id = request
        if request == REQUEST_ID_MAX:
            self._draining = True
        call = LinkCall(self, request, self._loop.create_future(), self._loop.time())
        self._calls[request] = call
        if stream is not None:
            call.send_body(stream)
        return call

    def abandon(self, call: LinkCall) -> None:
        """Nobody waits for `call` any more."""
        if self._calls.pop(call.id, None) is not None:
            self._abandoned = True
            call.stop()
            if not self._ended.done():
                self._send(encode_frame(CANCEL, call.id))

    def send_frame(self, data: bytes) -> None:
        """For the pumps of calls."""
        self._send(data)

    def credit(self, request: int, count: int) -> None:
        if not self._ended.done():
            self._send(encode_credit(request, count))

    def spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _send(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        if self._out and self._transport is not None and not self._ended.done():
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            was_idle = not self._abandoned and next(iter(self._calls), REQUEST_ID_MAX) > self._unwritten_after
            self._all_or_nothing = (
                was_idle and len(data) <= ATOMIC_BYTES_MAX and self._transport.get_write_buffer_size() == 0
            )
            self._unwritten_after = self._last_id
            self._transport.write(data)
        self._out.clear()

    # --- the socket ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self._transport.write(self._handshake.start())

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        try:
            for frame in self._decoder.feed(data):
                if self._handshake.done:
                    handler = _HANDLERS.get(frame.type)
                    if handler is None:
                        raise MalformedFrame(f"frame of type {frame.type} from a host")
                    handler(self, frame)
                else:
                    self._shake_hands(frame)
        except HoldfastError as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if not self._ended.done():
            self._ended.set_result(None)
        if not self._ready.done():
            text = f"{self.endpoint} ended the connection in the handshake"
            self._ready.set_exception(LinkLost(text, may_have_run=False))
        self._out.clear()
        self.writable.set()
        refused = self._all_or_nothing and isinstance(error, BrokenPipeError)
        calls, self._calls = self._calls, {}
        for call in calls.values():
            may_have_run = not refused and call.id <= min(self._unwritten_after, self._taken_up_to)
            call.fail(LinkLost(f"the link to {self.endpoint} ended: {error or 'closed'}", may_have_run=may_have_run))
        for task in self._tasks:
            task.cancel()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    # --- frames -------------------------------------------------------------------------------------------------

    def _shake_hands(self, frame: Frame) -> None:
        answer = self._handshake.receive(frame)
        if answer and self._transport is not None:
            self._transport.write(answer)
        if self._handshake.done:
            self._decoder.payload_bytes_max = PAYLOAD_BYTES_MAX
            self._watch = self._loop.call_later(WATCH_INTERVAL_S, self._look_after_calls)
            if not self._ready.done():
                self._ready.set_result(None)

    def _on_reply(self, frame: Frame) -> None:
        call = self._calls.get(frame.id)
        if call is None:
            return
        head, body = decode_reply(frame.payload)
        flags = frame.flags
        if not flags:
            del self._calls[frame.id]
            call.finish(Reply(body, None, head.content_type, head.headers))
        elif flags & STREAM:
            body_stream = BodyStream(lambda count: self.credit(call.id, count), lambda: self.abandon(call))
            call.open(Reply(b"", body_stream, head.content_type, head.headers), body_stream)
            self._add_body(call, body, last=not flags & MORE)
        else:
            call.gather(Reply(b"", None, head.content_type, head.headers))
            self._add_body(call, body, last=False)

    def _on_body(self, frame: Frame) -> None:
        call = self._calls.get(frame.id)
        if call is not None:
            self._add_body(call, frame.payload, last=not frame.flags & MORE)

    def _add_body(self, call: LinkCall, data: bytes, *, last: bool) -> None:
        call.feed(data)
        if last:
            self._calls.pop(call.id, None)
            call.end()

    def _on_error(self, frame: Frame) -> None:
        call = self._calls.pop(frame.id, None)
        if call is not None:
            call.fail(error_from_head(decode_error(frame.payload)))

    def _on_credit(self, frame: Frame) -> None:
        call = self._calls.get(frame.id)
        count = decode_credit(frame.payload)
        if call is not None:
            call.window.grant(count)

    def _on_ping(self, frame: Frame) -> None:
        self._send(encode_frame(PONG, payload=frame.payload[:8]))

    def _on_pong(self, frame: Frame) -> None:
        self._pinged_at = None

    def _on_goaway(self, frame: Frame) -> None:
        """The host drains: what it did not take did not run; what it took is still answered."""
        head = decode_goaway(frame.payload)
        self._draining = True
        self._taken_up_to = head.last_id
        for call in [call for call in self._calls.values() if call.id > head.last_id]:
            del self._calls[call.id]
            call.fail(LinkLost(f"{self.endpoint} takes no more calls: {head.message}", may_have_run=False))

    # --- time ---------------------------------------------------------------------------------------------------

    def _look_after_calls(self) -> None:
        """Once a second: calls past their time fail, a silent host is pinged, one that stays silent is given up."""
        now = self._loop.time()
        self._watch = self._loop.call_later(WATCH_INTERVAL_S, self._look_after_calls)
        for call in [c for c in self._calls.values() if now - c.started_at > self._reply_timeout_s]:
            if not call.answer.done():
                self.abandon(call)
                call.fail(LinkLost(f"no answer from {self.endpoint} in {self._reply_timeout_s:g} s", may_have_run=True))
        if self._pinged_at is not None:
            if now - max(self._pinged_at, self._heard_at) > self._ping_timeout_s:
                self.abort()
        elif self._calls and now - self._heard_at > self._ping_after_s:
            self._pinged_at = now
            self._send(encode_frame(PING, payload=b"holdfast"))


_HANDLERS: Final[dict[int, Callable[[HostLink, Frame], None]]] = {
    REPLY: HostLink._on_reply,
    BODY: HostLink._on_body,
    ERROR: HostLink._on_error,
    CREDIT: HostLink._on_credit,
    PING: HostLink._on_ping,
    PONG: HostLink._on_pong,
    GOAWAY: HostLink._on_goaway,
}
