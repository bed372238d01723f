"""Ours as a contender: `holdfast serve` as anybody runs it, with a token, its journal, syncs, gate and guard.

Nothing is switched off or tuned beside the placement.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from bench.load.plan import Endpoint
from bench.process_table import with_descendants
from holdfast.service_process import ServiceProcess

Placement = Literal["shared", "dedicated"]
TOKEN = "bench-token"
START_TIMEOUT_S = 120.0


class HoldfastService:
    """Implements `Contender`. `environ` is what the service inherits."""

    def __init__(self, folder: Path, *, placement: Placement, environ: Mapping[str, str]) -> None:
        self.name = f"holdfast ({placement})"
        self.folder = folder
        self._placement = placement
        self._environ = {**environ, "HOLDFAST_TOKEN": TOKEN}
        self._service: ServiceProcess | None = None

    def missing(self) -> str | None:
        return None

    async def start(self) -> Endpoint:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._service = await ServiceProcess.start(
            self.folder,
            environ=self._environ,
            arguments=["--placement", self._placement],
            timeout_s=START_TIMEOUT_S,
        )
        url = urlsplit(self._service.url)
        assert url.hostname is not None and url.port is not None
        return Endpoint(
            host=url.hostname,
            port=url.port,
            path="/v1/users/{user}/sql",
            headers={"Authorization": f"Bearer {TOKEN}"},
        )

    async def stop(self) -> None:
        if self._service is not None:
            await self._service.drain()
            self._service = None

    def process_ids(self) -> list[int]:
        """Gateway, hosts and what Ray runs beside them."""
        return [] if self._service is None else with_descendants(self._service.pid)
