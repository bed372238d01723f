"""The link's wire format, without I/O: what travels between a gateway and a host over a socket.

Every frame is a header of ten bytes and a payload:

    0  4  payload length, big-endian      4  1  type      5  1  flags      6  4  request id (0: the connection itself)

    HELLO    magic, lowest and highest version spoken, 32 random bytes       AUTH    32 bytes of HMAC (see handshake)
    REQUEST  u16 head length, head [user, profile, op, args] as msgpack, body; MORE: BODY frames follow, STREAM: the
             body is to be handed on as a stream instead of a whole
    REPLY    u16 head length, head [content_type, headers], body; flags as above      BODY  bytes; MORE: not the last
    ERROR    [code, message, retryable, retry_after_s, details]: ends the request, also in the middle of a reply
    CREDIT   u32: so many body bytes more may be sent (see flow)             CANCEL  nobody waits for this request
    PING/PONG  8 bytes, echoed                       GOAWAY  [code, message, highest request id taken]: no more requests

`VERSION` changes when any of this does; two sides agree on the highest both speak. Everything is bounded by the names
below; whoever sends more ends its own connection (`MalformedFrame`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from actors.call import Reply
from actors.hosting.errors import MalformedFrame
from storage.errors import InvalidRequest

VERSION: Final = 1
CHUNK_BYTES: Final = 256 << 10
HEAD_BYTES_MAX: Final = (1 << 16) - 1
PAYLOAD_BYTES_MAX: Final = CHUNK_BYTES + HEAD_BYTES_MAX + 2
HANDSHAKE_BYTES_MAX: Final = 4096
WINDOW_BYTES: Final = 1 << 20
WHOLE_BODY_BYTES_MAX: Final = 64 << 20
REQUESTS_MAX: Final = 4096
REQUEST_ID_MAX: Final = (1 << 32) - 1

HELLO: Final = 1
AUTH: Final = 2
REQUEST: Final = 3
BODY: Final = 4
REPLY: Final = 5
ERROR: Final = 6
CREDIT: Final = 7
CANCEL: Final = 8
PING: Final = 9
PONG: Final = 10
GOAWAY: Final = 11
_TYPES: Final = range(HELLO, GOAWAY + 1)

MORE: Final = 1
STREAM: Final = 2

HEADER: Final = struct.Struct(">IBBI")
HEADER_BYTES: Final = HEADER.size
_REQUEST_START: Final = struct.Struct(">IBBIH")
_U16: Final = struct.Struct(">H")
_U32: Final = struct.Struct(">I")


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame as it came."""

    type: int
    flags: int
    id: int
    payload: bytes


class RequestHead(msgspec.Struct, frozen=True, array_like=True):
    """Whose database, and what is asked of it. `op` is checked by who serves it."""

    user: str
    profile: str
    op: str
    args: dict[str, Any]


class ReplyHead(msgspec.Struct, frozen=True, array_like=True):
    content_type: str
    headers: dict[str, str]


class ErrorHead(msgspec.Struct, frozen=True, array_like=True):
    """A HoldfastError on its way (actors.hosting.wire_error)."""

    code: str
    message: str
    retryable: bool
    retry_after_s: float | None
    details: dict[str, Any]


class GoAwayHead(msgspec.Struct, frozen=True, array_like=True):
    """`last_id`: requests above it were not taken and surely did not run."""

    code: str
    message: str
    last_id: int


_encode = msgspec.msgpack.Encoder().encode
_decode_request = msgspec.msgpack.Decoder(RequestHead).decode
_decode_reply = msgspec.msgpack.Decoder(ReplyHead).decode
_decode_error = msgspec.msgpack.Decoder(ErrorHead).decode
_decode_goaway = msgspec.msgpack.Decoder(GoAwayHead).decode


class FrameDecoder:
    """Cuts a byte stream into frames. Holds at most one of `payload_bytes_max`, which grows after the handshake."""

    __slots__ = ("_pending", "_wanted", "payload_bytes_max")

    def __init__(self, payload_bytes_max: int = HANDSHAKE_BYTES_MAX) -> None:
        self.payload_bytes_max = payload_bytes_max
        self._pending = bytearray()
        self._wanted = 0

    def feed(self, data: bytes) -> Sequence[Frame]:
        """The frames that `data` completes, in order. Raises MalformedFrame; the decoder is of no use after it."""
        if self._pending:
            self._pending += data
            if len(self._pending) < self._wanted:
                return ()
            data = bytes(self._pending)
            self._pending.clear()
        frames: list[Frame] = []
        at, size, wanted = 0, len(data), HEADER_BYTES
        while size - at >= HEADER_BYTES:
            length, kind, flags, request = HEADER.unpack_from(data, at)
            if length > self.payload_bytes_max or kind not in _TYPES:
                raise MalformedFrame(f"frame of type {kind} with {length} bytes: expected types 1 to 11, at most "
                                     f"{self.payload_bytes_max} bytes")  # fmt: skip
            start = at + HEADER_BYTES
            if start + length > size:
                wanted = HEADER_BYTES + length
                break
            at = start + length
            frames.append(Frame(kind, flags, request, data[start:at]))
        if at < size:
            self._pending += data[at:]
            self._wanted = wanted
        return frames


def encode_frame(kind: int, request: int = 0, payload: bytes = b"", flags: int = 0) -> bytes:
    """Any frame whose payload is made elsewhere."""
    return HEADER.pack(len(payload), kind, flags, request) + payload


def encode_request(
    request: int, user: str, profile: str, op: str, args: Mapping[str, object], body: bytes, flags: int = 0
) -> bytes:
    """A REQUEST with at most CHUNK_BYTES of body. Raises InvalidRequest for arguments that no head can hold."""
    try:
        head = _encode((user, profile, op, args))
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidRequest(f"arguments of {op} do not encode: {error}") from error
    return _headed(REQUEST, request, head, body, flags)


def encode_reply(request: int, reply: Reply, body: bytes, flags: int = 0) -> bytes:
    """A REPLY with the head of `reply` and the first `body` bytes of it (at most CHUNK_BYTES)."""
    return _headed(REPLY, request, _encode((reply.content_type, reply.headers)), body, flags)


def encode_error(request: int, head: ErrorHead) -> bytes:
    return encode_frame(ERROR, request, _encode(head))


def encode_credit(request: int, count: int) -> bytes:
    return encode_frame(CREDIT, request, _U32.pack(count))


def encode_goaway(head: GoAwayHead) -> bytes:
    return encode_frame(GOAWAY, 0, _encode(head))


def decode_request(payload: bytes) -> tuple[RequestHead, bytes]:
    head, body = _split(payload)
    try:
        return _decode_request(head), body
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedFrame(f"request head: {error}") from error


def decode_reply(payload: bytes) -> tuple[ReplyHead, bytes]:
    head, body = _split(payload)
    try:
        return _decode_reply(head), body
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedFrame(f"reply head: {error}") from error


def decode_error(payload: bytes) -> ErrorHead:
    try:
        return _decode_error(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedFrame(f"error frame: {error}") from error


def decode_credit(payload: bytes) -> int:
    if len(payload) != 4:
        raise MalformedFrame(f"credit frame of {len(payload)} bytes, expected 4")
    count: int = _U32.unpack(payload)[0]
    return count


def decode_goaway(payload: bytes) -> GoAwayHead:
    try:
        return _decode_goaway(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedFrame(f"goaway frame: {error}") from error


def _headed(kind: int, request: int, head: bytes, body: bytes, flags: int) -> bytes:
    size = len(head)
    if size > HEAD_BYTES_MAX or len(body) > CHUNK_BYTES:
        raise InvalidRequest(
            f"head of {size} and body of {len(body)} bytes: a frame holds {HEAD_BYTES_MAX} and {CHUNK_BYTES}"
        )
    return _REQUEST_START.pack(size + len(body) + 2, kind, flags, request, size) + head + body


def _split(payload: bytes) -> tuple[bytes, bytes]:
    if len(payload) < 2:
        raise MalformedFrame(f"frame of {len(payload)} bytes has no head")
    end = 2 + int(_U16.unpack_from(payload)[0])
    if end > len(payload):
        raise MalformedFrame(f"head of {end - 2} bytes in a payload of {len(payload)}")
    return payload[2:end], payload[end:]
