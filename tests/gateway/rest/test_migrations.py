"""`/v1/admin/migrations`: who may ask, what reaches the port, what it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from gateway.app import create_app
from gateway.parts import GatewayParts
from gateway.settings import GatewaySettings
from gateway.tokens import sign_user_token, user_token_key
from storage.errors import HoldfastError, InvalidRequest
from storage.layout.address import Address
from storage.objects.memory import MemoryStore
from tests.gateway.kit import BASE_URL, ENV, FakeErasure, FakeRouter, SetClock, running

ADMIN = "/v1/admin/migrations"
TOKEN = "a-token-of-the-service"


class Late(HoldfastError):
    code = "too_early"


@dataclass
class FakeMigrations:
    """Plays the port and records what it was asked."""

    asked: list[tuple[object, ...]] = field(default_factory=list)
    failure: HoldfastError | None = None

    async def summary(self) -> Mapping[str, object]:
        return self._answer("summary")

    async def pause(self, *, paused: bool) -> Mapping[str, object]:
        return self._answer("pause", paused)

    async def status(self, user: str) -> Mapping[str, object]:
        return self._answer("status", user)

    async def carry_out(self, user: str, step: str, *, execute: bool, force: bool) -> Mapping[str, object]:
        return self._answer(step, user, execute, force)

    async def release(self, address: Address) -> Mapping[str, object]:
        return self._answer("release", address)

    def _answer(self, *asked: object) -> Mapping[str, object]:
        self.asked.append(asked)
        if self.failure is not None:
            raise self.failure
        return {"done": asked[0]}


@asynccontextmanager
async def admin(port: FakeMigrations | None, **settings: object) -> AsyncIterator[httpx.AsyncClient]:
    clock = SetClock()
    store = MemoryStore(clock)
    parts = GatewayParts(
        router=FakeRouter(),
        store=store,
        env=ENV,
        erasure=FakeErasure(store, clock),
        settings=GatewaySettings(**settings),  # type: ignore[arg-type]
        clock=clock,
        migrations=port,
    )
    application = create_app(parts, write_log=lambda lines: None)
    transport = httpx.ASGITransport(app=application)
    async with running(application), httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "body", "asked"),
    [
        ("GET", "", None, ("summary",)),
        ("PATCH", "", {"paused": True}, ("pause", True)),
        ("GET", "/alice", None, ("status", "alice")),
        ("POST", "/alice", {"step": "plan"}, ("plan", "alice", False, False)),
        ("POST", "/alice", {"step": "run", "execute": True}, ("run", "alice", True, False)),
        ("POST", "/alice", {"step": "rollback", "execute": True, "force": True}, ("rollback", "alice", True, True)),
        ("POST", "/alice", {"step": "verify"}, ("verify", "alice", False, False)),
        ("POST", "/alice", {"step": "finalize", "execute": True}, ("finalize", "alice", True, False)),
        ("POST", "/alice/profiles/main/release", None, ("release", Address("alice", "main"))),
    ],
)
async def test_each_step_reaches_the_port(method: str, path: str, body: object, asked: tuple[object, ...]) -> None:
    port = FakeMigrations()
    async with admin(port) as client:
        response = await client.request(method, ADMIN + path, json=body)
    assert (response.status_code, response.json()) == (200, {"done": asked[0]})
    assert port.asked == [asked]


@pytest.mark.parametrize("body", [{}, {"step": "moon"}, {"step": "run", "execute": "yes"}, {"step": "run", "more": 1}])
async def test_wrong_bodies_reach_nobody(body: object) -> None:
    port = FakeMigrations()
    async with admin(port) as client:
        response = await client.post(f"{ADMIN}/alice", json=body)
    assert response.status_code == 400 and response.json()["code"] == "invalid_request" and port.asked == []


async def test_a_wrong_user_id_is_refused() -> None:
    async with admin(FakeMigrations()) as client:
        response = await client.get(f"{ADMIN}/..a")
    assert response.status_code == 400


async def test_the_ports_errors_are_problems() -> None:
    port = FakeMigrations(failure=Late("sealed 3 days ago, kept for 30"))
    async with admin(port) as client:
        response = await client.post(f"{ADMIN}/alice", json={"step": "finalize", "execute": True})
    assert response.status_code == 409 and response.json()["code"] == "too_early"
    port.failure = InvalidRequest("no")
    async with admin(port) as client:
        assert (await client.get(f"{ADMIN}/alice")).status_code == 400


async def test_a_gateway_that_moves_nobody_has_no_such_route() -> None:
    async with admin(None) as client:
        assert (await client.get(ADMIN)).status_code == 404


async def test_a_users_own_token_opens_nothing_here() -> None:
    key = user_token_key(TOKEN, None)
    assert key is not None
    user_token = sign_user_token("alice", key=key, now=1_800_000_000.0, lifetime_s=3600.0)
    async with admin(FakeMigrations(), token=TOKEN) as client:
        for token, status in ((None, 401), (user_token, 403), (TOKEN, 200)):
            headers = {} if token is None else {"authorization": f"Bearer {token}"}
            for path in ("", "/alice"):
                assert (await client.get(ADMIN + path, headers=headers)).status_code == status
