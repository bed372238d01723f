"""Records of host processes on their way to the service's standard error."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.host_logs import LINE_BYTES_MAX, SOCKET_NAME, LineReceiver, LineSender


class Collected:
    """What reached the service."""

    def __init__(self) -> None:
        self.data = b""
        self.arrived = asyncio.Event()

    def write(self, lines: bytes) -> None:
        self.data += lines
        self.arrived.set()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.data.splitlines()]


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder with a short path: a socket's name holds 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="hfl-") as folder:
        yield Path(folder)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.Logger("actors.durability.agent")
    yield made
    for handler in made.handlers:
        handler.close()


async def test_a_record_of_a_host_arrives_as_one_line_that_names_the_host(
    sockets: Path, logger: logging.Logger
) -> None:
    collected = Collected()
    receiver = LineReceiver(sockets, collected.write)
    logger.addHandler(LineSender(sockets / SOCKET_NAME, "host/1"))
    logger.error("journal orphaned", extra={"commits": [3, 4]})
    await collected.arrived.wait()
    [record] = collected.records
    assert (record["host"], record["level"], record["message"]) == ("host/1", "error", "journal orphaned")
    assert record["commits"] == [3, 4]
    receiver.close()


async def test_what_was_sent_before_the_end_is_still_written(sockets: Path, logger: logging.Logger) -> None:
    collected = Collected()
    receiver = LineReceiver(sockets, collected.write)
    logger.addHandler(LineSender(sockets / SOCKET_NAME, "host/1"))
    logger.error("last words")
    receiver.close()
    assert [record["message"] for record in collected.records] == ["last words"]
    assert not (sockets / SOCKET_NAME).exists()


async def test_a_host_without_its_service_logs_into_the_void(sockets: Path, logger: logging.Logger) -> None:
    logger.addHandler(LineSender(sockets / SOCKET_NAME, "host/1"))
    logger.error("nobody listens")


async def test_a_host_that_says_too_much_is_not_held_up(sockets: Path, logger: logging.Logger) -> None:
    collected = Collected()
    receiver = LineReceiver(sockets, collected.write)
    logger.addHandler(LineSender(sockets / SOCKET_NAME, "host/1"))
    for number in range(10_000):
        logger.error("again %d", number)
    receiver.close()
    assert 0 < len(collected.records) < 10_000


async def test_a_record_without_end_is_cut(sockets: Path, logger: logging.Logger) -> None:
    collected = Collected()
    receiver = LineReceiver(sockets, collected.write)
    logger.addHandler(LineSender(sockets / SOCKET_NAME, "host/1"))
    logger.error("x" * (2 * LINE_BYTES_MAX))
    receiver.close()
    assert len(collected.data) == LINE_BYTES_MAX + 1
