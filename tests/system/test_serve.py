"""`holdfast serve` as a newcomer meets it, and as it lives: four services, one after the other, on one data directory.

A start takes seconds, so one test follows the whole life; each step is a function whose name says what holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx
import pytest

from holdfast.demo.tour import service_processes
from holdfast.greeting import curl_lines
from holdfast.serve import STOPPING
from holdfast.service_process import ServiceProcess

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(180)]

INSERT = {"sql": "INSERT INTO games (name) VALUES ('kept')"}
COUNT = {"sql": "SELECT count(*) FROM games"}
# Nothing is shipped by itself, so what is in the bucket afterwards got there by the stop.
NO_FLUSH = {"HOLDFAST_FLUSH_INTERVAL_S": "3600", "HOLDFAST_FLUSH_IDLE_S": "3600"}


def environ() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    return {**kept, "HOLDFAST_PLACEMENT": "shared", "HOLDFAST_SHARED_HOSTS": "1", **NO_FLUSH}


@asynccontextmanager
async def a_service(data_dir: Path) -> AsyncIterator[ServiceProcess]:
    """A running one; killed, with what it left, only if the test failed."""
    service = await ServiceProcess.start(data_dir, environ=environ())
    try:
        yield service
    except BaseException:
        await service.drain()
        raise


async def sql(url: str, body: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        return await http.post(f"{url}/v1/users/ana/sql", json=body)


async def count(url: str) -> int:
    answer = await sql(url, COUNT)
    assert answer.status_code == 200, answer.text
    number: int = answer.json()["results"][0]["rows"][0][0]
    return number


def slots(data_dir: Path) -> set[Path]:
    return set(data_dir.glob("*/users/*/profiles/*/log/0000/*.ltx"))


async def test_a_service_keeps_its_data_through_drain_abort_and_the_death_of_ray(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with a_service(data_dir) as first:
        await the_three_lines_work(first, tmp_path)
        await a_second_service_is_one_line_that_names_the_first(first, data_dir)
        await sigterm_drains(first, data_dir)
    async with a_service(data_dir) as second:
        assert await count(second.url) == 1
        assert (await sql(second.url, INSERT)).status_code == 200
        await a_second_signal_ends_it_at_once(second)
    async with a_service(data_dir) as third:
        assert await count(third.url) == 2
        assert (await sql(third.url, INSERT)).status_code == 200
        await the_death_of_ray_ends_it_in_good_order(third, data_dir)
    async with a_service(data_dir) as fourth:
        assert await count(fourth.url) == 3
        assert await fourth.drain() == 0, fourth.log


async def the_three_lines_work(service: ServiceProcess, folder: Path) -> None:
    lines = curl_lines(service.url, guarded=False)
    for line in lines:
        process = await asyncio.create_subprocess_shell(
            f"{line.strip()} --fail --noproxy '*'", cwd=folder, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, (line, out)
    with closing(sqlite3.connect(folder / "ana.sqlite")) as connection:
        assert connection.execute("SELECT name FROM games").fetchall() == [("Season opener",)]
    assert set(lines) <= set(service.log.splitlines())


async def a_second_service_is_one_line_that_names_the_first(service: ServiceProcess, data_dir: Path) -> None:
    code, out, err = await serve("--port", "0", "--data-dir", str(data_dir))
    assert (code, out) == (5, "")
    assert err == f"holdfast: data directory {data_dir}: already served by process {service.pid}\n"
    assert await count(service.url) == 1


async def sigterm_drains(service: ServiceProcess, data_dir: Path) -> None:
    before = slots(data_dir)
    assert await service.drain() == 0, service.log
    assert slots(data_dir) > before
    assert STOPPING in service.log.splitlines()
    assert service_processes(data_dir) == []


async def a_second_signal_ends_it_at_once(service: ServiceProcess) -> None:
    """Although a request that never ends its body keeps the drain waiting."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        endless = asyncio.create_task(http.post(f"{service.url}/v1/users/ana/sql", content=drip()))
        # Connections are accepted in order, so this answer comes after the endless request was taken in.
        await count(service.url)
        service.signal(signal.SIGINT)
        await not_ready(service.url)
        service.signal(signal.SIGINT)
        assert await asyncio.wait_for(service.ended(), 10) == 130
        endless.cancel()
        await asyncio.gather(endless, return_exceptions=True)


async def drip() -> AsyncIterator[bytes]:
    yield b'{"sql": "'
    await asyncio.Event().wait()


async def not_ready(url: str) -> None:
    """Wait until the first signal has been taken in: then nobody listens any more, or /readyz says so."""
    async with httpx.AsyncClient(trust_env=False) as http:
        with contextlib.suppress(httpx.TransportError):
            while (await http.get(f"{url}/readyz")).status_code == 200:
                continue


async def the_death_of_ray_ends_it_in_good_order(service: ServiceProcess, data_dir: Path) -> None:
    before = slots(data_dir)
    for record in service_processes(data_dir):
        if "gcs_server" in Path(f"/proc/{record.pid}/cmdline").read_text():
            os.kill(record.pid, signal.SIGKILL)
    assert await asyncio.wait_for(service.ended(), 20) == 1
    assert "ray ended unasked; everything is flushed" in service.log
    assert slots(data_dir) > before
    assert STOPPING in service.log.splitlines()
    assert service_processes(data_dir) == []


async def serve(*arguments: str) -> tuple[int, str, str]:
    """A service that is expected to end by itself: exit code, output, errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast", "serve", *arguments),
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_service_without_a_token_does_not_leave_loopback(tmp_path: Path) -> None:
    code, _, err = await serve("--host", "0.0.0.0", "--data-dir", str(tmp_path / "data"))
    assert code == 2
    assert "needs a token (HOLDFAST_TOKEN)" in err
    assert err.count("\n") == 1
