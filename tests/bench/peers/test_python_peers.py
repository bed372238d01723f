"""The Python peers and the naive mode answer the same to the same requests; the first two keep what they were given."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from bench.peers.naive_r2.app import opened as naive
from bench.peers.python_app import build_app
from bench.peers.sqlite_files.app import opened as files
from bench.workload import statement as s
from bench.workload.dialect import Dialect
from bench.workload.population import SMALL, populate

PEERS = {"files": lambda folder: files(folder), "naive": lambda folder: naive(folder, 0.0)}


@asynccontextmanager
async def a_client(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=application)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://peer") as client,
    ):
        yield client


async def ask(client: httpx.AsyncClient, user: str, body: bytes) -> list[dict[str, Any]]:
    response = await client.post(f"/v1/users/{user}/sql", content=body)
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


@pytest.mark.parametrize("name", PEERS)
async def test_a_peer_keeps_rows_per_user_across_a_restart(name: str, tmp_path: Path) -> None:
    async with a_client(build_app(PEERS[name](tmp_path))) as client:
        await ask(client, "u1", populate(1, SMALL, Dialect.PER_USER, seed=1))
        await ask(client, "u2", s.one(s.LIST_GAMES, [], Dialect.PER_USER))
    async with a_client(build_app(PEERS[name](tmp_path))) as client:
        (own,) = await ask(client, "u1", s.one(s.READ_GAME, [1], Dialect.PER_USER))
        (other,) = await ask(client, "u2", s.one(s.READ_GAME, [1], Dialect.PER_USER))
    assert own["columns"][:2] == ["id", "name"] and own["rows"][0][:2] == [1, "match 1"]
    assert other["rows"] == []


@pytest.mark.parametrize("name", PEERS)
async def test_several_statements_are_one_transaction(name: str, tmp_path: Path) -> None:
    body = {
        "statements": [
            {"sql": "INSERT INTO projects (name) VALUES ('a')"},
            {"sql": "INSERT INTO no_table (x) VALUES (1)"},
        ]
    }
    async with a_client(build_app(PEERS[name](tmp_path))) as client:
        with pytest.raises(Exception, match="no such table"):
            await client.post("/v1/users/u1/sql", content=json.dumps(body))
        (count,) = await ask(client, "u1", b'{"sql": "SELECT count(*) FROM projects"}')
    assert count["rows"] == [[0]]
