"""Where the process's log records go: JSON lines on standard error, from WARNING up, our own from INFO up."""

from __future__ import annotations

import logging
from typing import TextIO

from gateway.json_logs import JsonFormatter

OWN_LOGGERS = ("holdfast", "gateway", "actors", "storage")


def set_up_logs(stream: TextIO) -> None:
    """Once per process."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    install(handler)


def install(handler: logging.Handler) -> None:
    """Make `handler` the one that all records of this process go to."""
    handler.addFilter(_without_ray)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(logging.INFO)
    # uvicorn tells of its start and end on this one, which greeting and drain do already.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _without_ray(record: logging.LogRecord) -> bool:
    """Ray stamps every record of a process that uses it; the stamp repeats the time."""
    record.__dict__.pop("_ray_timestamp_ns", None)
    return True
