"""`holdfast migrate` beside a running service, with real hosts: there, back with what was never flushed, back again
from the journal of a host that was killed, and once more where no service runs.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from holdfast.demo.tour import serving_hosts
from holdfast.service_process import ServiceProcess
from tests.holdfast.cli import holdfast

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(120)]

ADMIN = "/v1/admin/migrations/ana"
ROWS = "SELECT name FROM games ORDER BY id"
# Nothing is shipped by itself: what was written as an actor gets back through the release, or through the journal.
ENVIRON = {
    "HOLDFAST_PLACEMENT": "shared",
    "HOLDFAST_SHARED_HOSTS": "1",
    "HOLDFAST_NEW_USERS": "r2",
    "HOLDFAST_FLUSH_INTERVAL_S": "3600",
    "HOLDFAST_FLUSH_IDLE_S": "3600",
    "HOLDFAST_FLAGS_TTL_S": "0.5",
}


class Ana:
    """A client and an operator of one service."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=60)

    async def sql(self, sql: str) -> httpx.Response:
        """Again where the answer says that it may be."""
        for _ in range(100):
            answer = await self._http.post("/v1/users/ana/sql", json={"sql": sql})
            if answer.status_code != 503 or not answer.json()["retryable"]:
                assert answer.status_code == 200, answer.text
                return answer
            await asyncio.sleep(0.1)
        raise AssertionError(answer.text)

    async def add(self, name: str) -> None:
        await self.sql(f"INSERT INTO games (name) VALUES ('{name}')")

    async def names(self) -> tuple[str, list[str]]:
        """How she is served, and her games."""
        answer = await self.sql(ROWS)
        return answer.headers["holdfast-mode"], [row[0] for row in answer.json()["results"][0]["rows"]]

    async def step(self, step: str) -> dict[str, Any]:
        answer = await self._http.post(ADMIN, json={"step": step, "execute": True})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def close(self) -> None:
        await self._http.aclose()


def environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")} | ENVIRON


async def test_a_user_goes_to_an_actor_and_back_with_every_write_also_when_the_host_is_killed(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    service = await ServiceProcess.start(data_dir, environ=environ())
    ana = Ana(service.url)
    try:
        await ana.add("one")
        assert await ana.names() == ("r2", ["one"])
        await beside_the_service(data_dir, tmp_path)
        await ana.add("two")
        assert await ana.names() == ("actor", ["one", "two"])
        assert (await ana.step("rollback"))["profiles"].popitem()[1] == "rolled_back"
        assert await ana.names() == ("r2", ["one", "two"])
        await ana.step("run")
        await ana.add("three")
        for host in serving_hosts(data_dir):
            os.kill(host.pid, signal.SIGKILL)
        await ana.step("rollback")
        assert await ana.names() == ("r2", ["one", "two", "three"])
        await ana.step("run")
        assert (await ana.names())[0] == "actor"
    finally:
        await ana.close()
        await service.drain()
    await without_a_service(data_dir, tmp_path)


async def beside_the_service(data_dir: Path, folder: Path) -> None:
    """The command line works on the bucket itself."""
    run = "migrate", "run", "--all", "--data-dir", str(data_dir)
    dry = await asyncio.to_thread(holdfast, *run)
    assert dry.code == 6 and "1 profiles to move" in dry.out
    done = await asyncio.to_thread(holdfast, *run, "--execute", "--report", str(folder / "report.json"))
    assert done.code == 0 and "moved 1" in done.out and (folder / "report.json").exists()


async def without_a_service(data_dir: Path, folder: Path) -> None:
    """The service has released everything at its end; nobody has to be asked."""
    back = "migrate", "rollback", "--user", "ana", "--execute", "--report", str(folder / "back.json")
    done = await asyncio.to_thread(holdfast, *back, "--data-dir", str(data_dir))
    assert done.code == 0, done.err
    verified = await asyncio.to_thread(holdfast, "migrate", "verify", "--data-dir", str(data_dir))
    assert verified.code == 0, verified.out
