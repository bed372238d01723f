"""As much HTTP/1.1 as a load generator needs: requests made in advance, answers read as far as they count. Pure.

An answer is its status and whether it is whole. Bodies are delimited by Content-Length or chunks; anything else (an
answer without either, an interim 1xx) is refused, since none of the measured servers sends it.
"""

from __future__ import annotations

from collections.abc import Mapping

HEAD_BYTES_MAX = 64 << 10


class ProtocolError(Exception):
    """The server answered with something that this reader does not understand."""


def encode_request(method: str, path: str, *, host: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """One request, ready to be sent as it is."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method != "GET":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class AnswerReader:
    """Takes bytes as they arrive; `feed` says the status once the answer is whole, else 0. Then it starts anew.

    `body` is the last whole answer's body as it came (chunks undecoded). `closing` says that the server ends the
    connection after it.
    """

    __slots__ = ("_buffer", "_end", "_status", "body", "closing")

    def __init__(self) -> None:
        self._buffer = b""
        self._end = 0  # where the answer ends; 0: not known yet, -1: chunked
        self._status = 0
        self.body = b""
        self.closing = False

    def feed(self, data: bytes) -> int:
        """Status of the answer that `data` completes, or 0. Raises ProtocolError."""
        buffer = self._buffer + data if self._buffer else data
        if not self._status and not self._read_head(buffer):
            self._buffer = buffer
            return 0
        end = self._end if self._end > 0 else _end_of_chunks(buffer, -self._end)
        if not end or len(buffer) < end:
            self._buffer = buffer
            return 0
        if len(buffer) > end:
            raise ProtocolError(f"{len(buffer) - end} bytes after the end of an answer")
        status, self._status = self._status, 0
        self.body = buffer
        self._buffer = b""
        return status

    def body_bytes(self) -> bytes:
        """The body of the last whole answer, chunks joined."""
        head, _, body = self.body.partition(b"\r\n\r\n")
        return _join_chunks(body) if b"transfer-encoding: chunked" in head.lower() else body

    def _read_head(self, buffer: bytes) -> bool:
        head_end = buffer.find(b"\r\n\r\n")
        if head_end < 0:
            if len(buffer) > HEAD_BYTES_MAX:
                raise ProtocolError(f"an answer's head exceeds {HEAD_BYTES_MAX} bytes")
            return False
        head = buffer[:head_end].lower()
        if not head.startswith(b"http/1.1 ") or head[9:10] == b"1":
            raise ProtocolError(f"answer begins with {buffer[:40]!r}")
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            line_end = head.find(b"\r\n", at + 17)
            self._end = head_end + 4 + int(head[at + 17 : line_end if line_end > 0 else head_end])
        elif b"\r\ntransfer-encoding: chunked" in head:
            self._end = -(head_end + 4)
        else:
            raise ProtocolError("an answer without Content-Length and without chunks")
        self.closing = b"\r\nconnection: close" in head
        self._status = int(head[9:12])
        return True


def _end_of_chunks(buffer: bytes, at: int) -> int:
    """Where the last chunk ends, or 0 while it is not there yet."""
    while True:
        line_end = buffer.find(b"\r\n", at)
        if line_end < 0:
            return 0
        size = int(buffer[at:line_end].partition(b";")[0], 16)
        at = line_end + 2 + size + 2
        if at > len(buffer):
            return 0
        if size == 0:
            return at


def _join_chunks(body: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while True:
        line_end = body.find(b"\r\n", at)
        size = int(body[at:line_end].partition(b";")[0], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[line_end + 2 : line_end + 2 + size])
        at = line_end + 2 + size + 2
