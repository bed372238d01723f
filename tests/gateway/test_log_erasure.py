"""Deleting over real logs: CLOSE and a tombstone (rule 21), nobody serves it again, and the sweep ends it."""

from __future__ import annotations

import asyncio

import httpx

from gateway.app import create_app
from gateway.erasure import Eraser
from storage.layout.keys import database_key, log_prefix, profile_prefix
from storage.log.record import Kind
from tests.actors.kit import ENV, VirtualClock, log_of, virtual
from tests.gateway.kit import BASE_URL, assert_problem
from tests.gateway.local import RETENTION_S, Local, local_gateway, local_parts


async def another_profile(gateway: Local) -> str:
    """A selected profile of alice's beside her default, with a row."""
    profile = str((await gateway.client.post("/v1/users/alice/profiles", json={"name": "B"})).json()["id"])
    await gateway.client.put("/v1/users/alice/selected-profile", json={"profileId": profile})
    assert (await gateway.sql("alice", "CREATE TABLE kept (x)")).status_code == 200
    return profile


@virtual
async def test_deleted_profile_ends_with_close_and_a_tombstone() -> None:
    async with local_gateway() as gateway:
        await gateway.rows("alice", "SELECT 1")
        profile = await another_profile(gateway)
        address = await gateway.address("alice")
        response = await gateway.client.delete(f"/v1/users/alice/profiles/{profile}")
        assert response.status_code == 200, response.text
        assert response.json()["remains"][0]["remains"] == {"log": log_prefix(ENV, address)}
        entries = await log_of(gateway.store, address)
        assert entries[-1].record.kind is Kind.CLOSE
        assert gateway.store.keys(database_key(ENV, address)) == [database_key(ENV, address)]
        assert_problem(await gateway.client.get(f"/v1/users/alice/profiles/{profile}/status"), 404, "profile_not_found")
        assert await gateway.rows("alice", "SELECT 1") == [[1]]


@virtual
async def test_gateway_that_still_knows_the_profile_cannot_open_it_and_looks_again() -> None:
    async with local_gateway() as gateway:
        profile = await another_profile(gateway)
        there = create_app(local_parts(gateway.router, gateway.store, VirtualClock()), write_log=lambda lines: None)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=there), base_url=BASE_URL) as client:
            path = f"/v1/users/alice/profiles/{profile}/status"
            assert (await client.get(path)).status_code == 200
            await gateway.client.delete(f"/v1/users/alice/profiles/{profile}")
            refused = await client.get(path)
            assert_problem(refused, 503, "not_in_actor_mode", retryable=True)
            assert_problem(await client.get(path), 404, "profile_not_found")


@virtual
async def test_user_with_a_damaged_log_is_erased_too() -> None:
    async with local_gateway() as gateway:
        await another_profile(gateway)
        address = await gateway.address("alice")
        await gateway.client.post("/v1/users/alice/flush")
        await gateway.router.evict(address)
        await gateway.store.inner.delete(gateway.store.keys(f"{log_prefix(ENV, address)}0000/")[1])
        response = await gateway.client.delete("/v1/users/alice")
        assert response.status_code == 200, response.text
        remains = {item["profile"]: item["remains"] for item in response.json()["remains"]}
        assert remains[address.profile]["damage"] == "log_gap"


@virtual
async def test_nothing_is_left_after_the_retention_time() -> None:
    async with local_gateway() as gateway:
        await another_profile(gateway)
        await gateway.rows("bob", "SELECT 1")
        address = await gateway.address("alice")
        await gateway.client.delete("/v1/users/alice")
        assert gateway.store.keys(profile_prefix(ENV, address))
        await asyncio.sleep(RETENTION_S + 1)
        eraser: Eraser = gateway.application.state.services.eraser
        await eraser.sweep()
        assert gateway.store.keys("alice") == []
        assert await gateway.rows("bob", "SELECT 1") == [[1]]
