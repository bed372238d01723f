"""A Python peer as a contender: one of this package's modules, run in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bench.load.plan import Endpoint
from bench.peers.child import ChildProcess, free_port
from bench.process_table import with_descendants


class PythonServer:
    """Implements `Contender`. `arguments` go between the folder and the port."""

    def __init__(self, name: str, module: str, folder: Path, arguments: Sequence[str] = ()) -> None:
        self.name = name
        self._module = module
        self._folder = folder
        self._arguments = arguments
        self._child: ChildProcess | None = None

    def missing(self) -> str | None:
        return None

    async def start(self) -> Endpoint:
        port = free_port()
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", self._module, str(self._folder), *self._arguments, str(port)]
        self._child = await ChildProcess.start(command, port=port, log=self._folder / "log")
        return Endpoint(host="127.0.0.1", port=port, path="/v1/users/{user}/sql")

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop()
            self._child = None

    def process_ids(self) -> list[int]:
        return [] if self._child is None else with_descendants(self._child.pid)
