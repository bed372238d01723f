"""What host processes log, on the service's own standard error.

Ray keeps the output of its processes in files of its own, which go when it ends; nobody would read there that a journal
was orphaned or a disk is full. So a host sends each record, one JSON line, as a datagram to a socket of the service.
Sending never waits: a record that finds no room, or no service any more, is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gateway.json_logs import JsonFormatter
from holdfast.logs import install

SOCKET_NAME = "log"
LINE_BYTES_MAX = 32 << 10
LINES_AT_ONCE = 100


def send_logs(folder: str, host: str) -> None:
    """Called once in the process of host `host`: from now on its records go to the service."""
    install(LineSender(Path(folder) / SOCKET_NAME, host))


def to_stderr(lines: bytes) -> None:
    """Where the service's own records go as well."""
    sys.stderr.buffer.write(lines)
    sys.stderr.buffer.flush()


class LineSender(logging.Handler):
    """Sends records, marked with the host's name."""

    def __init__(self, path: Path, host: str) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self._path = str(path)
        self._host = host
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises and never waits."""
        try:
            record.host = self._host
            line = self.format(record).encode()
            if len(line) > LINE_BYTES_MAX:  # a trace without end: what happened is worth more than where
                record.exc_info = None
                line = self.format(record).encode()[:LINE_BYTES_MAX]
            self._socket.sendto(line, self._path)
        except OSError:
            pass
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self._socket.close()
        super().close()


class LineReceiver:
    """The service's end: binds in `folder`, hands every line on to `write`. Made and closed on the running loop."""

    def __init__(self, folder: Path, write: Callable[[bytes], object]) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = folder / SOCKET_NAME
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._path.unlink(missing_ok=True)
        self._socket.bind(str(self._path))
        self._loop.add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Write what has come and take no more."""
        self._loop.remove_reader(self._socket.fileno())
        self._read()
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        lines: list[bytes] = []
        with suppress(BlockingIOError):
            while len(lines) < LINES_AT_ONCE:
                lines.append(self._socket.recv(LINE_BYTES_MAX) + b"\n")
        if lines:
            self._write(b"".join(lines))
