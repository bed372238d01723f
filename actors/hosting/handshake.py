"""Who may speak: version negotiation and a proof of the shared secret in both directions. No I/O.

    client                                       host
    HELLO lowest..highest, nonce      ->
                                      <-         HELLO chosen, nonce
    AUTH  hmac("client", transcript)  ->
                                      <-         AUTH hmac("host", transcript)

The transcript is both HELLO payloads, so neither a recorded proof nor a version changed on the way is accepted; the
two roles sign different texts, so a proof cannot be sent back to its maker. The host proves itself second: a stranger
gets no signature out of it. A peer that speaks only newer versions is refused, never guessed at.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from actors.hosting.errors import LinkRefused, MalformedFrame
from actors.hosting.frame import AUTH, GOAWAY, HELLO, VERSION, Frame, decode_goaway, encode_frame
from storage.errors import UnsupportedVersion

NONCE_BYTES = 32
SECRET_BYTES_MIN = 16
_HELLO = struct.Struct(">4sBB32s")
_MAGIC = b"HFLK"


class ClientHandshake:
    """The gateway's half. `nonce` is 32 fresh random bytes."""

    def __init__(self, secret: bytes, nonce: bytes, *, lowest: int = VERSION, highest: int = VERSION) -> None:
        self._secret = _checked(secret)
        self._lowest, self._highest = lowest, highest
        self._hello = _HELLO.pack(_MAGIC, lowest, highest, nonce)
        self._transcript = b""
        self.done = False

    def start(self) -> bytes:
        """The first bytes to send."""
        return encode_frame(HELLO, payload=self._hello)

    def receive(self, frame: Frame) -> bytes:
        """What to send in return (maybe nothing); `done` afterwards says whether requests may follow."""
        if frame.type == GOAWAY:
            head = decode_goaway(frame.payload)
            if head.code == UnsupportedVersion.code:
                raise UnsupportedVersion(head.message)
            raise LinkRefused(f"the host refused the link: {head.message}")
        if frame.type == HELLO and not self._transcript:
            chosen, _highest = _versions(frame.payload)
            if not self._lowest <= chosen <= self._highest:
                raise UnsupportedVersion(
                    f"the host chose link version {chosen}, {self._lowest} to {self._highest} offered"
                )
            self._transcript = self._hello + frame.payload
            return encode_frame(AUTH, payload=_proof(self._secret, b"client", self._transcript))
        if frame.type == AUTH and self._transcript:
            _check_proof(frame.payload, _proof(self._secret, b"host", self._transcript), "the host")
            self.done = True
            return b""
        raise MalformedFrame(f"frame of type {frame.type} in the handshake")


class HostHandshake:
    """The host's half."""

    def __init__(self, secret: bytes, nonce: bytes, *, lowest: int = VERSION, highest: int = VERSION) -> None:
        self._secret = _checked(secret)
        self._lowest, self._highest = lowest, highest
        self._nonce = nonce
        self._transcript = b""
        self.done = False

    def receive(self, frame: Frame) -> bytes:
        """What to send in return; `done` afterwards says whether requests may follow."""
        if frame.type == HELLO and not self._transcript:
            lowest, highest = _versions(frame.payload)
            chosen = min(highest, self._highest)
            if chosen < max(lowest, self._lowest):
                raise UnsupportedVersion(
                    f"link versions {lowest} to {highest} offered, this host speaks {self._lowest} to {self._highest}"
                )
            hello = _HELLO.pack(_MAGIC, chosen, chosen, self._nonce)
            self._transcript = frame.payload + hello
            return encode_frame(HELLO, payload=hello)
        if frame.type == AUTH and self._transcript:
            _check_proof(frame.payload, _proof(self._secret, b"client", self._transcript), "the client")
            self.done = True
            return encode_frame(AUTH, payload=_proof(self._secret, b"host", self._transcript))
        raise MalformedFrame(f"frame of type {frame.type} in the handshake")


def _checked(secret: bytes) -> bytes:
    if len(secret) < SECRET_BYTES_MIN:
        raise LinkRefused(f"link secret of {len(secret)} bytes, at least {SECRET_BYTES_MIN} are needed")
    return secret


def _versions(payload: bytes) -> tuple[int, int]:
    """Lowest and highest of a HELLO. A longer one (of a newer version) is read as far as this version knows it."""
    if len(payload) < _HELLO.size:
        raise MalformedFrame(f"hello of {len(payload)} bytes, expected {_HELLO.size}")
    magic, lowest, highest, _nonce = _HELLO.unpack_from(payload)
    if magic != _MAGIC or lowest > highest:
        raise MalformedFrame(
            f"hello begins with {magic!r}, versions {lowest} to {highest}: this is not a Holdfast link"
        )
    return lowest, highest


def _proof(secret: bytes, role: bytes, transcript: bytes) -> bytes:
    return hmac.new(secret, b"holdfast link " + role + b"\0" + transcript, hashlib.sha256).digest()


def _check_proof(found: bytes, expected: bytes, who: str) -> None:
    if not hmac.compare_digest(found, expected):
        raise LinkRefused(f"{who} does not know this link's secret")
