"""Ours as a contender: `holdfast serve` as anybody runs it, with a token, its journal, syncs, gate and guard.

Nothing is switched off or tuned beside the placement. Its log goes to a file, as a service's log does.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from bench.load.plan import Endpoint
from bench.peers.child import ChildProcess, PeerFailed, free_port
from bench.process_table import with_descendants

Placement = Literal["shared", "dedicated"]
TOKEN = "bench-token"
READY = re.compile(rb"^holdfast is ready on http://", re.MULTILINE)
READY_TIMEOUT_S = 120.0
DRAIN_TIMEOUT_S = 120.0
PAUSE_S = 0.05
LOG_BYTES_SEARCHED = 64 << 10


class HoldfastService:
    """Implements `Contender`. `environ` is what the service inherits; its log is `folder`.log."""

    def __init__(self, folder: Path, *, placement: Placement, environ: Mapping[str, str]) -> None:
        self.name = f"holdfast ({placement})"
        self.folder = folder
        self._placement = placement
        self._environ = {**environ, "HOLDFAST_TOKEN": TOKEN}
        self._child: ChildProcess | None = None

    def missing(self) -> str | None:
        return None

    async def start(self) -> Endpoint:
        self.folder.mkdir(parents=True, exist_ok=True)
        port, log = free_port(), self.folder.with_suffix(".log")
        log.unlink(missing_ok=True)
        self._child = await ChildProcess.start(
            [
                *(sys.executable, "-m", "holdfast", "serve", "--port", str(port)),
                *("--data-dir", str(self.folder), "--placement", self._placement),
            ],
            port=port,
            log=log,
            environ=self._environ,
        )
        await self._wait_until_ready(log)
        return Endpoint(
            host="127.0.0.1",
            port=port,
            path="/v1/users/{user}/sql",
            headers={"Authorization": f"Bearer {TOKEN}"},
        )

    async def stop(self) -> None:
        """Drain it; what its hosts did not ship in time is in their journals."""
        if self._child is not None:
            await self._child.stop(timeout_s=DRAIN_TIMEOUT_S)
            self._child = None

    def process_ids(self) -> list[int]:
        """Gateway, hosts and what Ray runs beside them."""
        return [] if self._child is None else with_descendants(self._child.pid)

    async def _wait_until_ready(self, log: Path) -> None:
        """It listens before it is ready. Raises PeerFailed with its last words."""
        assert self._child is not None
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while not READY.search(_beginning(log)):
                    if self._child.ended:
                        raise PeerFailed(f"holdfast serve ended: {self._child.last_words()}")
                    await asyncio.sleep(PAUSE_S)
        except BaseException as error:
            said = self._child.last_words()
            await self.stop()
            if isinstance(error, TimeoutError):
                raise PeerFailed(f"holdfast serve was not ready after {READY_TIMEOUT_S:g} s: {said}") from error
            raise


def _beginning(log: Path) -> bytes:
    with log.open("rb") as file:
        return file.read(LOG_BYTES_SEARCHED)
