"""One connection of a gateway to this host: handshake, requests in, answers out.

Answers gather and are written once per loop turn. A gateway that does not read stops being read from as soon as the
socket's buffer passes a bound, and loses its connection when it stalls for STALL_S or the buffer grows past the last
bound; streams wait for their own credit besides. Anything malformed ends this connection and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, cast

from actors.call import Call, Op
from actors.errors import ActivationEnded, Overloaded
from actors.hosting.errors import LinkRefused, MalformedFrame
from actors.hosting.frame import (
    BODY,
    CANCEL,
    CREDIT,
    GOAWAY,
    MORE,
    PAYLOAD_BYTES_MAX,
    PING,
    PONG,
    REQUEST,
    REQUESTS_MAX,
    STREAM,
    WHOLE_BODY_BYTES_MAX,
    Frame,
    FrameDecoder,
    GoAwayHead,
    RequestHead,
    decode_credit,
    decode_request,
    encode_credit,
    encode_error,
    encode_frame,
    encode_goaway,
)
from actors.hosting.handshake import HostHandshake
from actors.hosting.link_request import HELD_BYTES_MAX, LinkRequest
from actors.hosting.wire_error import error_to_head
from storage.errors import HoldfastError, InvalidRequest
from storage.layout.address import Address

HANDSHAKE_TIMEOUT_S: Final = 5.0
STALL_S: Final = 30.0
WRITE_HIGH_BYTES: Final = 1 << 20
WRITE_BYTES_MAX: Final = 256 << 20
ADDRESSES_MAX: Final = 100_000
OPS: Final[dict[str, Op]] = {op.value: op for op in Op}
_log = logging.getLogger(__name__)


class ConnectionOwner(Protocol):
    """The server: where calls go, and when sockets are written."""

    submit: Callable[[Address, Call], None]

    def admit(self, connection: LinkConnection) -> bool: ...
    def leave(self, connection: LinkConnection) -> None: ...
    def write_soon(self, connection: LinkConnection) -> None: ...


class LinkConnection(asyncio.Protocol):
    """See the module. It becomes a link when the handshake is done; until then only tiny frames are accepted."""

    def __init__(self, owner: ConnectionOwner, handshake: HostHandshake) -> None:
        self._owner, self._handshake = owner, handshake
        self._decoder = FrameDecoder()
        self._out: list[bytes] = []
        self._requests: dict[int, LinkRequest] = {}
        self._addresses: dict[tuple[str, str], Address] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_id = 0
        self.held_bytes = 0
        self._going_away = self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self.writable = asyncio.Event()
        self.writable.set()
        self._handlers: dict[int, Callable[[Frame], None]] = {
            REQUEST: self._on_request,
            BODY: self._on_body,
            CREDIT: self._on_credit,
            CANCEL: self._on_cancel,
            PING: lambda frame: self.send(encode_frame(PONG, payload=frame.payload[:8])),
            PONG: lambda frame: None,
            GOAWAY: lambda frame: None,
        }

    # --- the socket ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        if not self._owner.admit(self):
            self._transport.abort()
            return
        self._end_later(HANDSHAKE_TIMEOUT_S)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                if self._closed:
                    return
                if self._handshake.done:
                    handler = self._handlers.get(frame.type)
                    if handler is None:
                        raise MalformedFrame(f"frame of type {frame.type} after the handshake")
                    handler(frame)
                else:
                    self._shake_hands(frame)
        except HoldfastError as error:
            self._refuse(error)

    def connection_lost(self, error: Exception | None) -> None:
        self._closed = True
        self._stop_timer()
        self._out.clear()
        self.writable.set()
        for request in list(self._requests.values()):
            request.cancel(ActivationEnded("the connection ended under the request"))
        for task in self._tasks:
            task.cancel()
        self._owner.leave(self)

    def pause_writing(self) -> None:
        assert self._transport is not None
        self.writable.clear()
        self._transport.pause_reading()
        self._end_later(STALL_S)

    def resume_writing(self) -> None:
        assert self._transport is not None
        self._stop_timer()
        self.writable.set()
        if not self._closed:
            self._transport.resume_reading()

    # --- sending ------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Write `data` with everything else of this loop turn."""
        if not self._closed:
            if not self._out:
                self._owner.write_soon(self)
            self._out.append(data)

    def flush(self) -> None:
        """Write what gathered. Called by the server once per loop turn."""
        transport = self._transport
        if not self._out or transport is None:
            return
        transport.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
        self._out.clear()
        if transport.get_write_buffer_size() > WRITE_BYTES_MAX:
            self._abort(f"{WRITE_BYTES_MAX} bytes of answers were not read")

    def credit(self, request: int, count: int) -> None:
        self.send(encode_credit(request, count))

    def go_away(self, error: HoldfastError) -> None:
        """Tell the gateway that no further requests are taken; those under way are answered."""
        if self._handshake.done and not self._going_away:
            self._going_away = True
            self.send(encode_goaway(GoAwayHead(error.code, error.message, self._last_id)))

    def close(self) -> None:
        """Write what gathered and end the connection."""
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def open_requests(self) -> int:
        return len(self._requests)

    # --- requests -----------------------------------------------------------------------------------------------

    def forget(self, request: LinkRequest) -> None:
        self._requests.pop(request.id, None)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _on_request(self, frame: Frame) -> None:
        if frame.id <= self._last_id:
            raise MalformedFrame(f"request {frame.id} after request {self._last_id}: ids have to rise")
        head, body = decode_request(frame.payload)
        refusal = self._refusal()
        if refusal is not None:
            self.send(encode_error(frame.id, error_to_head(refusal)))
            return
        self._last_id = frame.id
        try:
            request = LinkRequest(self, frame.id, self._address(head))
            self._requests[frame.id] = request
            call = Call(_op(head.op), head.args, body, request.reply, request.fail)
        except HoldfastError as error:
            self._requests.pop(frame.id, None)
            self.send(encode_error(frame.id, error_to_head(error)))
            return
        request.call = call
        if frame.flags:
            self._begin_body(request, call, frame.flags)
        else:
            self._owner.submit(request.address, call)

    def _begin_body(self, request: LinkRequest, call: Call, flags: int) -> None:
        """The body comes as a stream, or as a whole in several frames: the call waits for the last one."""
        if flags & STREAM:
            call.stream, call.body = request.open_stream(call.body), b""
            if not flags & MORE:
                request.feed(b"", last=True)
            self._owner.submit(request.address, call)
        elif flags & MORE:
            request.gather(call.body)

    def _on_body(self, frame: Frame) -> None:
        request = self._requests.get(frame.id)
        if request is None:
            return
        if not request.is_gathering:
            request.feed(frame.payload, last=not frame.flags & MORE)
            return
        request.gather_more(frame.payload)
        if request.held_bytes > WHOLE_BODY_BYTES_MAX or self.held_bytes > HELD_BYTES_MAX:
            request.fail(
                Overloaded(
                    f"a request body of {request.held_bytes} bytes, {self.held_bytes} held for this link: at most "
                    f"{WHOLE_BODY_BYTES_MAX} and {HELD_BYTES_MAX}",
                    retry_after_s=1.0,
                )
            )
        elif not frame.flags & MORE:
            assert request.call is not None
            request.call.body = request.whole_body()
            self._owner.submit(request.address, request.call)

    def _on_credit(self, frame: Frame) -> None:
        request = self._requests.get(frame.id)
        count = decode_credit(frame.payload)
        if request is not None:
            request.grant(count)

    def _on_cancel(self, frame: Frame) -> None:
        request = self._requests.get(frame.id)
        if request is not None:
            request.cancel(ActivationEnded("the caller called the request off"))

    def _refusal(self) -> HoldfastError | None:
        if self._going_away:
            return ActivationEnded("not run: this host is draining")
        if len(self._requests) >= REQUESTS_MAX:
            return Overloaded(f"{REQUESTS_MAX} requests are under way on this link", retry_after_s=0.5)
        return None

    def _address(self, head: RequestHead) -> Address:
        key = (head.user, head.profile)
        address = self._addresses.get(key)
        if address is None:
            if len(self._addresses) >= ADDRESSES_MAX:
                self._addresses.clear()
            address = self._addresses[key] = Address.parse(head.user, head.profile)
        return address

    # --- beginning and end --------------------------------------------------------------------------------------

    def _shake_hands(self, frame: Frame) -> None:
        answer = self._handshake.receive(frame)
        if answer:
            self.send(answer)
        if self._handshake.done:
            self._stop_timer()
            self._decoder.payload_bytes_max = PAYLOAD_BYTES_MAX

    def _refuse(self, error: HoldfastError) -> None:
        _log.warning("link ended: %s: %s", error.code, error.message)
        told = LinkRefused("no") if isinstance(error, LinkRefused) else error
        self.send(encode_goaway(GoAwayHead(told.code, told.message, self._last_id)))
        self._closed = True
        self.close()

    def _abort(self, why: str) -> None:
        _log.warning("link ended: %s", why)
        self.abort()

    def _end_later(self, seconds: float) -> None:
        self._stop_timer()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._abort, f"no progress for {seconds:g} s")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _op(name: str) -> Op:
    op = OPS.get(name)
    if op is None:
        raise InvalidRequest(f"op {name[:40]!r} is not one of {', '.join(sorted(OPS))}")
    return op
