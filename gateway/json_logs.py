"""Logs as JSON lines: a formatter for the logging module, and a writer for the one line that each request leaves.

The request log does not go through `logging`: at ten thousand requests a second that alone would cost a tenth of a
core. Its lines wait in a bounded buffer and are written together; errors do go through `logging`, at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

REQUEST_LOG_BYTES_MAX = 256 << 10
REQUEST_LOG_WAIT_S = 0.2

_ENCODER = msgspec.json.Encoder(enc_hook=str)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """One JSON object per record: time (UTC), level, logger, message, what `extra` gave, and an exception's trace."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return _ENCODER.encode(fields).decode()


class RequestLine(msgspec.Struct, omit_defaults=True):
    """One request in the log. `time` is Unix seconds, `ms` the time it took."""

    time: float
    message: str
    request_id: str
    method: str
    route: str
    status: int
    ms: float
    user: str = ""
    profile: str = ""
    mode: str = ""
    code: str = ""
    bytes_in: int = 0


class RequestLog:
    """Lines gathered for at most `REQUEST_LOG_WAIT_S` seconds or `REQUEST_LOG_BYTES_MAX` bytes, then written."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._buffer = bytearray()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, line: RequestLine) -> None:
        """Take one line; written soon."""
        self._buffer += _ENCODER.encode(line)
        self._buffer += b"\n"
        if len(self._buffer) >= REQUEST_LOG_BYTES_MAX:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(REQUEST_LOG_WAIT_S, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._buffer:
            lines, self._buffer = bytes(self._buffer), bytearray()
            self._write(lines)
