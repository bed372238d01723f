"""Requests as bytes and answers as they come over a socket, for tests that must see every byte of both."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

WAIT_S = 20.0
# Differs between two runs of the same request: the date, and ids that the client did not give.
_DATE = re.compile(rb"\r\ndate: [^\r]*")
_MADE_ID = re.compile(rb"(?<=x-request-id: )[0-9a-f]{16}|(?<=request_id\":\")[0-9a-f]{16}")


def request(
    path: str = "/v1/users/alice/sql",
    body: bytes = b'{"sql":"SELECT 1"}',
    *lines: str,
    method: str = "POST",
    version: str = "1.1",
    host: str | None = "localhost",
    length: str | None = "",
) -> bytes:
    """One request; `length` "" states the body's own, None states none."""
    head = [f"{method} {path} HTTP/{version}"]
    if host is not None:
        head.append(f"Host: {host}")
    if length is not None:
        head.append(f"Content-Length: {length or len(body)}")
    return "\r\n".join([*head, *lines, "", ""]).encode("latin-1") + body


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back: whole answers, without what differs by chance, and whether the server then closed."""

    answers: tuple[bytes, ...]
    closed: bool


async def converse(port: int, parts: tuple[bytes, ...], *, answers: int = 1, in_turn: bool = False) -> Answers:
    """Send `parts`, `in_turn` each after the answer to the one before; read `answers` answers, or to the end if it
    comes earlier."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(WAIT_S):
            found: list[bytes] = []
            for part in parts:
                writer.write(part)
                await writer.drain()
                if in_turn:
                    found.append(await read_answer(reader))
                else:
                    await asyncio.sleep(0)
            while len(found) < answers and (answer := await read_answer(reader)):
                found.append(answer)
            closing = bool(found) and b"\r\nconnection: close" in found[-1]
            closed = len(found) < answers or (closing and await reader.read() == b"")
        return Answers(tuple(found), closed)
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """The next answer with a stated length (or in one piece of chunks), b"" at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    length = re.search(rb"content-length: (\d+)", head)
    if length is not None:
        body = await reader.readexactly(int(length[1]))
    elif b"transfer-encoding: chunked" in head:
        body = await reader.readuntil(b"0\r\n\r\n")
    else:
        body = b""
    return _MADE_ID.sub(b"ID", _DATE.sub(b"", head + body))
