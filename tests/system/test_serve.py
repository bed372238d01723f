"""`holdfast serve` as a newcomer meets it: greeting, the lines it prints, one service per folder, draining."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from holdfast.demo.tour import service_processes
from holdfast.greeting import curl_lines
from holdfast.service_process import ServiceProcess

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(180)]

SQL = {"sql": "INSERT INTO games (name) VALUES ('kept')"}
COUNT = {"sql": "SELECT count(*) FROM games"}


def environ(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    return {**kept, "HOLDFAST_PLACEMENT": "shared", "HOLDFAST_SHARED_HOSTS": "1", **settings}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    running = await ServiceProcess.start(tmp_path / "data", environ=environ())
    try:
        yield running
    finally:
        await running.drain()


async def sql(url: str, body: dict[str, str], user: str = "ana") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        return await http.post(f"{url}/v1/users/{user}/sql", json=body)


async def test_the_three_lines_work(service: ServiceProcess, tmp_path: Path) -> None:
    for line in curl_lines(service.url, guarded=False):
        assert line in service.log.splitlines()
        process = await asyncio.create_subprocess_shell(
            f"{line.strip()} --fail-with-body --noproxy '*'", cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, (line, out)
    with closing(sqlite3.connect(tmp_path / "ana.sqlite")) as connection:
        assert connection.execute("SELECT name FROM games").fetchall() == [("Season opener",)]


async def test_a_second_service_on_the_same_folder_is_one_line_that_names_the_first(
    service: ServiceProcess, tmp_path: Path
) -> None:
    second = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")),
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await second.communicate()
    assert (second.returncode, out) == (5, b"")
    assert err.decode() == f"holdfast: data directory {tmp_path / 'data'}: already served by process {service.pid}\n"
    assert (await sql(service.url, COUNT)).status_code == 200


async def test_sigterm_drains_and_the_next_service_goes_on_with_the_data(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    first = await ServiceProcess.start(
        data_dir, environ=environ(HOLDFAST_FLUSH_INTERVAL_S="3600", HOLDFAST_FLUSH_IDLE_S="3600")
    )
    assert (await sql(first.url, SQL)).status_code == 200
    before = set(data_dir.glob("*/users/*/profiles/*/log/0000/*.ltx"))
    assert await first.drain() == 0, first.log
    assert set(data_dir.glob("*/users/*/profiles/*/log/0000/*.ltx")) > before
    assert service_processes(data_dir) == []
    second = await ServiceProcess.start(data_dir, environ=environ())
    try:
        assert (await sql(second.url, COUNT)).json()["results"][0]["rows"] == [[1]]
    finally:
        assert await second.drain() == 0, second.log


async def test_a_second_signal_ends_at_once_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    first = await ServiceProcess.start(data_dir, environ=environ())
    assert (await sql(first.url, SQL)).status_code == 200
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        # A request that never ends its body keeps the drain waiting.
        endless = asyncio.create_task(http.post(f"{first.url}/v1/users/ana/sql", content=drip()))
        await until_in_flight(first.url)
        first.signal(signal.SIGINT)
        await asyncio.sleep(0)
        first.signal(signal.SIGINT)
        code = await asyncio.wait_for(first.ended(), 10)
        assert code != 0
        endless.cancel()
        await asyncio.gather(endless, return_exceptions=True)
    second = await ServiceProcess.start(data_dir, environ=environ())
    try:
        assert (await sql(second.url, COUNT)).json()["results"][0]["rows"] == [[1]]
    finally:
        assert await second.drain() == 0, second.log


async def test_a_service_whose_ray_was_killed_flushes_and_ends(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    first = await ServiceProcess.start(data_dir, environ=environ(HOLDFAST_FLUSH_INTERVAL_S="3600"))
    assert (await sql(first.url, SQL)).status_code == 200
    for record in service_processes(data_dir):
        if "gcs_server" in Path(f"/proc/{record.pid}/cmdline").read_text():
            os.kill(record.pid, signal.SIGKILL)
    assert await asyncio.wait_for(first.ended(), 20) == 1
    assert "ray ended unasked; everything is flushed" in first.log
    assert service_processes(data_dir) == []
    second = await ServiceProcess.start(data_dir, environ=environ())
    try:
        assert (await sql(second.url, COUNT)).json()["results"][0]["rows"] == [[1]]
    finally:
        assert await second.drain() == 0, second.log


async def drip() -> AsyncIterator[bytes]:
    yield b'{"sql": "'
    await asyncio.Event().wait()


async def until_in_flight(url: str) -> None:
    """The next answer comes after the endless request was taken in: connections are accepted in order."""
    assert (await sql(url, COUNT)).status_code == 200


async def test_a_service_without_a_token_does_not_leave_loopback(tmp_path: Path) -> None:
    refused = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast", "serve", "--host", "0.0.0.0", "--data-dir", str(tmp_path / "data")),
        env=environ(),
        stderr=subprocess.PIPE,
    )
    _, err = await refused.communicate()
    assert refused.returncode == 2
    assert b"needs a token (HOLDFAST_TOKEN)" in err
    assert err.count(b"\n") == 1
