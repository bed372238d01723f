"""Logs as JSON lines."""

from __future__ import annotations

import asyncio
import logging
import sys

import msgspec
import pytest

from gateway import json_logs
from gateway.json_logs import JsonFormatter, RequestLine, RequestLog


def a_line(request_id: str) -> RequestLine:
    return RequestLine(1.5, "request", request_id, "GET", "/healthz", 200, 0.25)


def test_record_becomes_one_line_with_its_extras_and_trace() -> None:
    try:
        raise ValueError("boom\nsecond line")
    except ValueError:
        trace = sys.exc_info()
    record = logging.LogRecord("holdfast.x", logging.ERROR, __file__, 1, "failed: %s", ("why",), trace)
    record.__dict__["request_id"] = "r1"
    record.__dict__["odd"] = object()
    text = JsonFormatter().format(record)
    assert "\n" not in text
    fields = msgspec.json.decode(text)
    assert (fields["level"], fields["logger"], fields["message"]) == ("error", "holdfast.x", "failed: why")
    assert fields["request_id"] == "r1"
    assert "ValueError: boom" in fields["exception"]
    assert fields["time"].endswith("+00:00")


async def test_lines_are_written_together_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_logs, "REQUEST_LOG_WAIT_S", 0.01)
    written: list[bytes] = []
    arrived = asyncio.Event()

    def write(lines: bytes) -> None:
        written.append(lines)
        arrived.set()

    log = RequestLog(write)
    log.add(a_line("a"))
    log.add(a_line("b"))
    assert written == []
    await asyncio.wait_for(arrived.wait(), 20)
    assert [msgspec.json.decode(line)["request_id"] for line in written[0].splitlines()] == ["a", "b"]
    log.flush()
    assert len(written) == 1


async def test_buffer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_logs, "REQUEST_LOG_BYTES_MAX", 1000)
    written: list[bytes] = []
    log = RequestLog(written.append)
    for number in range(100):
        log.add(a_line(str(number)))
    assert len(written) > 5
    assert all(len(lines) < 1200 for lines in written)
    log.flush()
    assert sum(lines.count(b"\n") for lines in written) == 100
