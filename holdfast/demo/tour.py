"""The demo from beginning to end: a service of its own, writes under load, a killed host, and the reckoning.

Everything happens in a temporary folder that is removed afterwards. Whatever is not as promised is a `DemoFailed`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from actors.hosting.process_registry import ProcessRecord, ProcessRegistry
from holdfast.demo.ledger import Ledger, Verdict
from holdfast.demo.season import games
from holdfast.demo.writers import Tally, Writer
from holdfast.service_process import ServiceProcess
from storage.clock import Clock
from storage.errors import HoldfastError

USERS = ("ana", "ben", "chloe")
GAMES_PER_USER = 40
WRITERS_PER_USER = 4
LOAD_BEFORE_S = 4.0
LOAD_AFTER_S = 8.0
RUN_FOLDER = Path(".holdfast") / "run"
HOST_NAMES = ("user/", "host/")


class DemoFailed(HoldfastError):
    """Something was not as promised."""

    code = "demo_failed"


@dataclass(slots=True)
class Outcome:
    """What the tour measured. Times in seconds."""

    tally: Tally = field(default_factory=Tally)
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    started_s: float = 0.0
    load_s: float = 0.0
    killed: str = ""
    exported: Path = Path()
    exported_rows: int = 0
    exported_bytes: int = 0
    bucket_objects: int = 0

    @property
    def acknowledged(self) -> int:
        return sum(len(ledger.acknowledged) for ledger in self.ledgers.values())


class Tour:
    """One run. `say` takes a line for people."""

    def __init__(
        self, environ: Mapping[str, str], clock: Clock, rng: random.Random, say: Callable[[str], None]
    ) -> None:
        self._environ = environ
        self._clock = clock
        self._rng = rng
        self._say = say
        self._outcome = Outcome(ledgers={user: Ledger() for user in USERS})

    async def run(self) -> Outcome:
        """The whole tour. Raises DemoFailed and what starting the service raises."""
        with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as folder:
            data_dir = Path(folder) / "user_data"
            self._say(f"starting a service on a free port, data in {data_dir}")
            began = self._clock.now()
            service = await ServiceProcess.start(data_dir, environ=self._service_environ())
            self._outcome.started_s = self._clock.now() - began
            try:
                await self._with_service(service, data_dir)
                self._say("stopping: everything is flushed")
                code = await service.drain()
            except BaseException:
                await service.drain()
                raise
            if code != 0:
                raise DemoFailed(f"the service ended with exit code {code}:\n{service.log}")
            self._outcome.bucket_objects = sum(1 for _ in data_dir.glob("*/users/*/profiles/*/log/*/*.ltx"))
        return self._outcome

    async def _with_service(self, service: ServiceProcess, data_dir: Path) -> None:
        limits = httpx.Limits(max_connections=len(USERS) * WRITERS_PER_USER + 2)
        async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as http:
            await asyncio.gather(*(self._create(http, service.url, user) for user in USERS))
            await self._load(http, service, data_dir)
            for user in USERS:
                self._outcome.verdicts[user] = await self._judge(http, service.url, user)
            await self._export(http, service.url, data_dir.parent / f"{USERS[0]}.sqlite")
        broken = [f"{user}: {verdict}" for user, verdict in self._outcome.verdicts.items() if not verdict.holds]
        if broken:
            raise DemoFailed("acknowledged writes do not add up: " + "; ".join(broken))

    async def _create(self, http: httpx.AsyncClient, url: str, user: str) -> None:
        """A user's first request makes their database; a season of matches in one transaction."""
        statements = [statement.to_json() for statement in games(self._rng, user=user, count=GAMES_PER_USER)]
        await self._sql(http, url, user, {"statements": statements})

    async def _load(self, http: httpx.AsyncClient, service: ServiceProcess, data_dir: Path) -> None:
        self._say(
            f"{len(USERS)} users, {len(USERS) * WRITERS_PER_USER} clients that write as fast as they are answered"
        )
        stop, began = asyncio.Event(), self._clock.now()
        async with asyncio.TaskGroup() as group:
            for user in USERS:
                for number in range(WRITERS_PER_USER):
                    group.create_task(self._writer(http, service, user, number).run(stop))
            await self._clock.sleep(LOAD_BEFORE_S)
            self._kill_a_host(data_dir)
            await self._clock.sleep(LOAD_AFTER_S)
            stop.set()
        self._outcome.load_s = self._clock.now() - began

    def _writer(self, http: httpx.AsyncClient, service: ServiceProcess, user: str, number: int) -> Writer:
        return Writer(
            http=http,
            url=lambda: service.url,
            user=user,
            name=str(number),
            games_count=GAMES_PER_USER,
            ledger=self._outcome.ledgers[user],
            tally=self._outcome.tally,
            clock=self._clock,
            rng=random.Random(self._rng.getrandbits(64)),
        )

    def _kill_a_host(self, data_dir: Path) -> None:
        hosts = serving_hosts(data_dir)
        if not hosts:
            raise DemoFailed("no host process is registered")
        victim = self._rng.choice(hosts)
        self._say(f"SIGKILL to process {victim.pid}, host {victim.name}, in the middle of it")
        os.kill(victim.pid, signal.SIGKILL)
        self._outcome.killed = victim.name

    async def _judge(self, http: httpx.AsyncClient, url: str, user: str) -> Verdict:
        rows = await self._sql(http, url, user, {"sql": "SELECT notes FROM raw_clips"})
        return self._outcome.ledgers[user].judge(note for (note,) in rows["results"][0]["rows"])

    async def _export(self, http: httpx.AsyncClient, url: str, target: Path) -> None:
        """The export is a database that plain SQLite opens, with every acknowledged row."""
        answer = await http.get(f"{url}/v1/users/{USERS[0]}/export")
        answer.raise_for_status()
        await asyncio.to_thread(target.write_bytes, answer.content)
        with closing(sqlite3.connect(target)) as connection:
            (finding,) = connection.execute("PRAGMA integrity_check").fetchone()
            notes = [note for (note,) in connection.execute("SELECT notes FROM raw_clips")]
        verdict = self._outcome.ledgers[USERS[0]].judge(notes)
        if finding != "ok" or not verdict.holds:
            raise DemoFailed(f"the export of {USERS[0]}: integrity_check {finding}, {verdict}")
        self._outcome.exported_rows, self._outcome.exported_bytes = len(notes), len(answer.content)

    async def _sql(self, http: httpx.AsyncClient, url: str, user: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await http.post(f"{url}/v1/users/{user}/sql", json=body)
        if answer.status_code != 200:
            raise DemoFailed(f"{user}: HTTP {answer.status_code} {answer.text[:300]}")
        found: dict[str, Any] = answer.json()
        return found

    def _service_environ(self) -> dict[str, str]:
        """The caller's environment, without the settings that would lead to their own data or lock us out."""
        kept = {name: value for name, value in self._environ.items() if not name.startswith("HOLDFAST_")}
        placement = self._environ.get("HOLDFAST_PLACEMENT")
        extra = {"HOLDFAST_PLACEMENT": placement} if placement else {}
        return {**kept, **extra, "APP_ENV": "dev", "HOLDFAST_ACCESS_LOG": "false"}


def serving_hosts(data_dir: Path) -> list[ProcessRecord]:
    """Host processes of a data directory that are alive."""
    return [record for record in service_processes(data_dir) if record.name.startswith(HOST_NAMES)]


def service_processes(data_dir: Path) -> list[ProcessRecord]:
    """Those and Ray's own, as far as they are alive."""
    return ProcessRegistry(data_dir / RUN_FOLDER).alive()
