"""Cloudflare's workerd with one SQLite-backed Durable Object per user, from the npm package of that name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bench.load.plan import Endpoint
from bench.peers.child import ChildProcess, free_port
from bench.peers.schema import per_user_schema
from bench.process_table import with_descendants

HERE = Path(__file__).parent


class Workerd:
    """Implements `Contender`. `binary` is workerd, `folder` takes its databases and its configuration."""

    name = "workerd Durable Objects"

    def __init__(self, folder: Path, *, binary: Path) -> None:
        self._folder = folder
        self._binary = binary
        self._child: ChildProcess | None = None

    def missing(self) -> str | None:
        if not self._binary.exists():
            return f"workerd is not at {self._binary}: `make bench-peers` installs it with npm"
        return None

    async def start(self) -> Endpoint:
        port = free_port()
        (self._folder / "objects").mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "worker.js", self._folder)
        (self._folder / "schema.js").write_text(f"export const SCHEMA = {json.dumps(per_user_schema())};\n")
        text = (HERE / "config.capnp").read_text().replace("@FOLDER@", str(self._folder)).replace("@PORT@", str(port))
        config = self._folder / "config.capnp"
        config.write_text(text)
        self._child = await ChildProcess.start(
            [str(self._binary), "serve", str(config)], port=port, log=self._folder / "log"
        )
        return Endpoint(host="127.0.0.1", port=port, path="/v1/users/{user}/sql")

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop()
            self._child = None

    def process_ids(self) -> list[int]:
        return [] if self._child is None else with_descendants(self._child.pid)
