"""Where log records go."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from holdfast.logs import OWN_LOGGERS, set_up_logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Set up for the test, and as before afterwards."""
    names = (None, "uvicorn", *OWN_LOGGERS)
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = logging.getLogger().handlers
    factory = logging.getLogRecordFactory()
    logging.setLogRecordFactory(logging.LogRecord)  # Ray puts one of its own in where it was imported
    stream = io.StringIO()
    set_up_logs(stream)
    yield stream
    logging.getLogger().handlers = handlers
    logging.setLogRecordFactory(factory)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_records_are_json_lines_with_their_extra_fields(stream: io.StringIO) -> None:
    logging.getLogger("actors.source").warning(
        "journal not settled", extra={"address": "ana/1", "_ray_timestamp_ns": 1}
    )
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert (told["message"], told["address"], told["level"]) == ("journal not settled", "ana/1", "warning")
    assert "_ray_timestamp_ns" not in told


def test_others_are_heard_from_warnings_up_and_we_from_information_up(stream: io.StringIO) -> None:
    logging.getLogger("botocore").info("quiet")
    logging.getLogger("holdfast.serve").info("heard")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["heard"]
