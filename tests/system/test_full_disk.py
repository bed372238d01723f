"""A full disk under the journals: typed errors at most, no host dies, nothing acknowledged is lost, and writes go on.

The journals' folder is a small tmpfs, which takes the right to mount.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from holdfast.demo.ledger import Ledger
from holdfast.demo.tour import serving_hosts
from holdfast.service_process import ServiceProcess

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(120)]

# Larger than what a journal's file grows by, so that each of them needs room.
ROW_BYTES = 200_000
TMPFS_BYTES = 4 << 20
WRITES = 20


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose journals lie on a tmpfs of TMPFS_BYTES."""
    journals = journals_of(tmp_path / "data")
    journals.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "holdfast-test", str(journals)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the right to mount a tmpfs is missing: {done.stderr.strip()}")
    try:
        yield tmp_path / "data"
    finally:
        subprocess.run(["umount", str(journals)], check=True)


def journals_of(data_dir: Path) -> Path:
    return data_dir / ".holdfast" / "dev"


def fill(folder: Path) -> Path:
    """A file that takes what room there is, to the last byte."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (64 << 10, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


async def test_a_full_disk_under_the_journals_loses_nothing_and_kills_nobody(data_dir: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    environ |= {"HOLDFAST_PLACEMENT": "shared", "HOLDFAST_SHARED_HOSTS": "1"}
    service = await ServiceProcess.start(data_dir, environ=environ)
    try:
        async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=60) as http:
            ledger = await write_on_a_full_disk(http, data_dir)
            assert (await write(http, WRITES)).status_code == 200
            ledger.acknowledge(str(WRITES))
            assert ledger.judge(await rows(http)).holds
    finally:
        code = await service.drain()
    assert code == 0, service.log
    service = await ServiceProcess.start(data_dir, environ=environ)
    try:
        async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=60) as http:
            assert ledger.judge(await rows(http)).holds
    finally:
        assert await service.drain() == 0, service.log


async def write_on_a_full_disk(http: httpx.AsyncClient, data_dir: Path) -> Ledger:
    """What was told before and while the disk was full. A commit may become durable in the bucket instead."""
    ledger = Ledger()
    assert (await write(http, 0)).status_code == 200
    ledger.acknowledge("0")
    hosts = [record.pid for record in serving_hosts(data_dir)]
    ballast = fill(journals_of(data_dir))
    for number in range(1, WRITES):
        answer = await write(http, number)
        if answer.status_code == 200:
            ledger.acknowledge(str(number))
        elif answer.json()["code"] == "outcome_unknown":
            ledger.doubt(str(number))
        else:
            assert (answer.status_code, answer.json()["retryable"]) in ((503, True), (507, False)), answer.text
    other = await http.post("/v1/users/ben/sql", json={"sql": "SELECT 1"})
    assert other.status_code in (200, 503), other.text
    assert [record.pid for record in serving_hosts(data_dir)] == hosts
    ballast.unlink()
    return ledger


async def write(http: httpx.AsyncClient, number: int) -> httpx.Response:
    sql = "INSERT INTO games (duration, name) VALUES (?, hex(randomblob(?)))"
    return await http.post("/v1/users/ana/sql", json={"sql": sql, "params": [number, ROW_BYTES // 2]})


async def rows(http: httpx.AsyncClient) -> list[str]:
    answer = await http.post("/v1/users/ana/sql", json={"sql": "SELECT duration FROM games"})
    assert answer.status_code == 200, answer.text
    return [str(int(number)) for (number,) in answer.json()["results"][0]["rows"]]
