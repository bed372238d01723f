"""The service on a bucket, with strict ownership: a machine is lost with its disk, and another one takes over.

Two data directories stand for two machines; the bucket is SeaweedFS's.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx
import pytest

from holdfast.demo.tour import service_processes
from holdfast.service_process import ServiceProcess
from tests.holdfast.cli import holdfast
from tests.servers import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(180)]

TTL_S = "1"


def environ(server: S3Server, bucket: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    return {
        **kept,
        **server.environment(),
        "HOLDFAST_BUCKET": bucket,
        "HOLDFAST_S3_ENDPOINT": server.endpoint,
        "HOLDFAST_S3_REGION": server.region,
        "HOLDFAST_PLACEMENT": "shared",
        "HOLDFAST_SHARED_HOSTS": "1",
        "HOLDFAST_TTL_S": TTL_S,
        "HOLDFAST_GRACE_S": "0.5",
    }


async def sql(service: ServiceProcess, text: str, level: str = "r2") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        return await http.post(
            f"{service.url}/v1/users/ana/sql", json={"sql": text}, headers={"holdfast-durability": level}
        )


async def names(service: ServiceProcess) -> list[str]:
    answer = await sql(service, "SELECT name FROM games ORDER BY id")
    assert answer.status_code == 200, answer.text
    return [name for (name,) in answer.json()["results"][0]["rows"]]


def lose_the_machine(data_dir: Path, service: ServiceProcess) -> None:
    """Everything of it at once: gateway, hosts, Ray."""
    service.signal(signal.SIGKILL)
    for record in service_processes(data_dir):
        os.kill(record.pid, signal.SIGKILL)


async def test_rule_5_another_machine_takes_over_after_the_wait_with_every_r2_write(
    seaweedfs: S3Server, tmp_path: Path
) -> None:
    settings = environ(seaweedfs, seaweedfs.new_bucket())
    first_dir, second_dir = tmp_path / "first", tmp_path / "second"
    first = await ServiceProcess.start(first_dir, environ=settings)
    for name in ("one", "two"):
        answer = await sql(first, f"INSERT INTO games (name) VALUES ('{name}')")
        assert answer.status_code == 200, answer.text
    lose_the_machine(first_dir, first)
    await first.ended()
    second = await ServiceProcess.start(second_dir, environ=settings)
    try:
        assert await names(second) == ["one", "two"]
        assert (await sql(second, "INSERT INTO games (name) VALUES ('three')")).status_code == 200
    finally:
        assert await second.drain() == 0, second.log
    # Released: the first machine, back again, needs no wait and finds the other's write.
    back = await ServiceProcess.start(first_dir, environ=settings)
    try:
        assert await names(back) == ["one", "two", "three"]
    finally:
        assert await back.drain() == 0, back.log


def test_the_bucket_is_read_without_a_service(seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = environ(seaweedfs, seaweedfs.new_bucket())
    for name, value in seaweedfs.environment().items():
        monkeypatch.setenv(name, value)
    outcome = holdfast("log", "verify", "ana", "--profile", "00ff00ff", environ=settings)
    assert outcome.code == 4
    assert "log of ana/00ff00ff: there is none" in outcome.err
    assert holdfast("log", "orphans", environ=settings).out == "no orphans\n"
