"""A real database, the Chinook sample: imported, its host killed, exported with identical content."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import httpx
import pytest

from holdfast.demo.tour import serving_hosts
from holdfast.service_process import ServiceProcess

CHINOOK = Path(__file__).parents[3] / "shared" / "data" / "chinook.sqlite"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.system,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not CHINOOK.exists(), reason=f"{CHINOOK} is missing"),
]


def content(path: Path) -> list[str]:
    """Schema and rows of a database, as SQL that would make it again."""
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


async def test_chinook_is_imported_survives_sigkill_and_is_exported_as_it_was(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    service = await ServiceProcess.start(data_dir, environ=environ)
    try:
        async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=60) as http:
            answer = await http.put("/v1/users/ana/import", params={"replace": "true"}, content=CHINOOK.read_bytes())
            assert answer.status_code == 200, answer.text
            hosts = serving_hosts(data_dir)
            assert hosts
            for record in hosts:
                os.kill(record.pid, signal.SIGKILL)
            exported = tmp_path / "exported.sqlite"
            answer = await http.get("/v1/users/ana/export")
            assert answer.status_code == 200, answer.text
            exported.write_bytes(answer.content)
    finally:
        await service.drain()
    assert content(exported) == content(CHINOOK)
