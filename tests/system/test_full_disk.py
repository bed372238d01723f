"""A full disk under the journals: typed errors, no host dies, nothing acknowledged is lost, and writes go on later.

The journals' folder is a small tmpfs, which takes the right to mount.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from holdfast.demo.tour import serving_hosts
from holdfast.service_process import ServiceProcess

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(120)]

ROW_BYTES = 100_000
TMPFS_BYTES = 4 << 20


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose journals lie on a tmpfs of TMPFS_BYTES."""
    journals = tmp_path / "data" / ".holdfast" / "dev"
    journals.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "holdfast-test", str(journals)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the right to mount a tmpfs is missing: {done.stderr.strip()}")
    try:
        yield tmp_path / "data"
    finally:
        subprocess.run(["umount", str(journals)], check=True)


async def test_a_full_disk_under_the_journals_loses_nothing_and_kills_nobody(data_dir: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    environ |= {
        "HOLDFAST_PLACEMENT": "shared",
        "HOLDFAST_SHARED_HOSTS": "1",
        # Nothing is shipped meanwhile, so the journal has to hold it all.
        "HOLDFAST_FLUSH_INTERVAL_S": "3600",
        "HOLDFAST_FLUSH_IDLE_S": "3600",
    }
    service = await ServiceProcess.start(data_dir, environ=environ)
    try:
        async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=60) as http:
            hosts = [record.pid for record in serving_hosts(data_dir)]
            acknowledged, refusal = await write_until_refused(http)
            assert acknowledged
            assert refusal.status_code in (503, 507), refusal.text
            assert refusal.json()["code"] != "internal", refusal.text
            other = await http.post("/v1/users/ben/sql", json={"sql": "SELECT 1"})
            assert other.status_code in (200, 503), other.text
            assert [record.pid for record in serving_hosts(data_dir)] == hosts
            found = await rows(http)
            assert set(acknowledged) <= set(found)
            assert len(found) == len(set(found))
    finally:
        code = await service.drain()
    assert code == 0, service.log
    await again(data_dir, environ, acknowledged)


async def again(data_dir: Path, environ: dict[str, str], acknowledged: list[int]) -> None:
    """The next service has everything, and writes."""
    service = await ServiceProcess.start(data_dir, environ=environ)
    try:
        async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=60) as http:
            assert set(acknowledged) <= set(await rows(http))
            assert (await write(http, 10_000)).status_code == 200
    finally:
        assert await service.drain() == 0, service.log


async def write_until_refused(http: httpx.AsyncClient) -> tuple[list[int], httpx.Response]:
    acknowledged: list[int] = []
    for number in range(3 * TMPFS_BYTES // ROW_BYTES):
        answer = await write(http, number)
        if answer.status_code != 200:
            return acknowledged, answer
        acknowledged.append(number)
    pytest.fail(f"{len(acknowledged)} rows of {ROW_BYTES} bytes fit into a journal on {TMPFS_BYTES} bytes")


async def write(http: httpx.AsyncClient, number: int) -> httpx.Response:
    sql = "INSERT INTO games (duration, name) VALUES (?, hex(randomblob(?)))"
    return await http.post("/v1/users/ana/sql", json={"sql": sql, "params": [number, ROW_BYTES // 2]})


async def rows(http: httpx.AsyncClient) -> list[int]:
    answer = await http.post("/v1/users/ana/sql", json={"sql": "SELECT duration FROM games"})
    assert answer.status_code == 200, answer.text
    return [int(number) for (number,) in answer.json()["results"][0]["rows"]]
