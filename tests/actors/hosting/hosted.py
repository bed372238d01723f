"""Configurations of hosts over echoes, and routers to them, for tests with and without Ray."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.hosting.directory import HostFinder, HostRouter
from actors.hosting.host_config import HostConfig
from actors.hosting.settings import HostSettings, PlacementSettings, RouterSettings
from storage.clock import SystemClock
from tests.actors.hosting.linked import SECRET

ECHOES = "tests.actors.hosting.echo:open_echoes"


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a path short enough for sockets, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="hf-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def a_config(folder: Path, *, settings: HostSettings | None = None, source: str = ECHOES) -> HostConfig:
    """What hosts in `folder` have in common."""
    return HostConfig(
        secret=SECRET,
        machine="here",
        source=source,
        socket_folder=str(folder / "s"),
        run_folder=str(folder / "run"),
        settings=settings or HostSettings(),
    )


def a_router(hosts: HostFinder, placement: PlacementSettings) -> HostRouter:
    return HostRouter(
        hosts,
        placement,
        secret=SECRET,
        machine="here",
        nonce=lambda: os.urandom(32),
        clock=SystemClock(),
        settings=RouterSettings(resend_for_s=30),
    )
