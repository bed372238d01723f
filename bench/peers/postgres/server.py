"""FastAPI with PostgreSQL as a contender: a private cluster with its own data directory, ended with the run.

The server's programs come from the system (Debian: postgresql). PostgreSQL refuses to run as root, so under root the
cluster belongs to the user that Debian made for it, and the folders above must let that user pass. Settings are
PostgreSQL's defaults (fsync and synchronous_commit on) with a buffer that holds everything.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.load.plan import Endpoint
from bench.machine import first_line
from bench.peers.child import ChildProcess, PeerFailed, free_port
from bench.peers.python_server import PythonServer
from bench.peers.schema import SHARED_SCHEMA
from bench.process_table import with_descendants
from bench.workload.dialect import Dialect

OWNER_UNDER_ROOT = "postgres"
CONNECT_ATTEMPTS_MAX = 100
SETTINGS = ("listen_addresses=127.0.0.1", "shared_buffers=512MB", "max_connections=64", "max_wal_size=4GB")


class FastApiPostgres:
    """Implements `Contender`."""

    name = "FastAPI + PostgreSQL"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = _find_programs()
        self._owner = OWNER_UNDER_ROOT if os.geteuid() == 0 else None
        self._database: ChildProcess | None = None
        self._app: PythonServer | None = None

    def missing(self) -> str | None:
        if self._programs is None:
            return "PostgreSQL's initdb is not installed (Debian: apt install postgresql)"
        if find_spec("asyncpg") is None:
            return "asyncpg is not installed: `make bench-peers` installs it"
        return None

    def version(self) -> str:
        """What the server says of itself."""
        return (
            "not installed" if self._programs is None else first_line([str(self._programs / "postgres"), "--version"])
        )

    async def start(self) -> Endpoint:
        assert self._programs is not None
        created = not (self._folder / "data").exists()
        if created:
            self._create()
        port = free_port()
        options = [part for setting in SETTINGS for part in ("-c", setting)]
        self._database = await ChildProcess.start(
            [
                *(str(self._programs / "postgres"), "-D", str(self._folder / "data")),
                *("-p", str(port), "-k", str(self._folder)),
                *options,
            ],
            port=port,
            log=self._folder / "log",
            user=self._owner,
        )
        if created:
            await self._load_schema(port)
        self._app = PythonServer(self.name, "bench.peers.postgres", self._folder, [str(port)])
        endpoint = await self._app.start()
        return Endpoint(host=endpoint.host, port=endpoint.port, path=endpoint.path, dialect=Dialect.SHARED)

    async def stop(self) -> None:
        if self._app is not None:
            await self._app.stop()
            self._app = None
        if self._database is not None:
            await self._database.stop(signal.SIGINT)  # PostgreSQL's fast shutdown
            self._database = None

    def process_ids(self) -> list[int]:
        app = [] if self._app is None else self._app.process_ids()
        return app if self._database is None else [*with_descendants(self._database.pid), *app]

    def _create(self) -> None:
        assert self._programs is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._owner is not None:
            shutil.chown(self._folder, self._owner)
        subprocess.run(
            [
                *(str(self._programs / "initdb"), "-D", str(self._folder / "data"), "-U", "bench"),
                *("--auth=trust", "--encoding=UTF8", "--locale=C"),
            ],
            check=True,
            user=self._owner,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )

    async def _load_schema(self, port: int) -> None:
        for database, sql in (("postgres", "CREATE DATABASE bench"), ("bench", SHARED_SCHEMA)):
            connection = await _connect(str(self._folder), port, database)
            await connection.execute(sql)
            await connection.close()


async def _connect(folder: str, port: int, database: str) -> Any:
    """A new cluster listens before it is ready: try until it takes us."""
    asyncpg: Any = import_module("asyncpg")
    for _ in range(CONNECT_ATTEMPTS_MAX):
        try:
            return await asyncpg.connect(host=folder, port=port, user="bench", database=database)
        except (OSError, asyncpg.CannotConnectNowError):
            await asyncio.sleep(0.1)
    raise PeerFailed("PostgreSQL takes no connections")


def _find_programs() -> Path | None:
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None
