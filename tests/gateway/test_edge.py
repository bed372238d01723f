"""The first and last of the gateway that a request meets: ids, tokens, users, origins, bounds, the log."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from actors.call import Reply
from gateway.tokens import sign_user_token, user_token_key
from tests.gateway.kit import Asked, Bench, assert_problem, bench

TOKEN = "service-token"
SERVICE = {"Authorization": f"Bearer {TOKEN}"}
SQL = b'{"sql":"SELECT 1"}'


def user_token(gateway: Bench, user: str) -> dict[str, str]:
    key = user_token_key(TOKEN, None)
    assert key is not None
    return {"Authorization": f"Bearer {sign_user_token(user, key=key, now=gateway.clock.wall(), lifetime_s=60)}"}


async def test_request_id_of_the_client_is_kept(gateway: Bench) -> None:
    response = await gateway.client.get("/healthz", headers={"X-Request-ID": "job-7.a_B"})
    assert response.headers["x-request-id"] == "job-7.a_B"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, 'a"b', "a\tb"])
async def test_other_request_ids_are_replaced(gateway: Bench, given: str) -> None:
    response = await gateway.client.get("/healthz", headers={"X-Request-ID": given})
    assert response.headers["x-request-id"] != given
    assert len(response.headers["x-request-id"]) == 16


async def test_each_request_leaves_one_line(gateway: Bench) -> None:
    await gateway.client.post("/v1/users/alice/sql", content=SQL, headers={"X-Request-ID": "r1"})
    await gateway.client.get("/v1/users/alice/nothing", headers={"X-Request-ID": "r2"})
    await gateway.client.patch("/v1/users/alice/profiles/ffffffff", json={"name": "x"}, headers={"X-Request-ID": "r3"})
    lines = {str(line["request_id"]): line for line in gateway.lines()}
    profile = gateway.router.asked[0].address.profile
    assert lines["r1"] == {
        "time": gateway.clock.wall(),
        "message": "request",
        "request_id": "r1",
        "method": "POST",
        "route": "/v1/users/{user}/sql",
        "status": 200,
        "ms": 0.0,
        "user": "alice",
        "profile": profile,
        "mode": "actor",
        "bytes_in": len(SQL),
    }
    assert (lines["r2"]["route"], lines["r2"]["status"], lines["r2"]["code"]) == ("unmatched", 404, "not_found")
    assert lines["r3"]["route"] == "/v1/users/{user}/profiles/{profile}"
    assert (lines["r3"]["status"], lines["r3"]["code"]) == (404, "profile_not_found")


async def test_token_guards_everything_but_the_probes() -> None:
    async with bench(token=TOKEN) as gateway:
        for path in ("/metrics", "/docs", "/openapi.json", "/docs/assets/swagger-ui.css", "/nowhere", "/v1/me/status"):
            assert_problem(await gateway.client.get(path), 401, "unauthorized")
        for path in ("/healthz", "/readyz"):
            assert (await gateway.client.get(path)).status_code == 200
        for path in ("/metrics", "/docs", "/openapi.json", "/v1/users/alice/status"):
            assert (await gateway.client.get(path, headers=SERVICE)).status_code == 200


async def test_every_route_refuses_another_users_token() -> None:
    """Walks the application's routes, so that a new one that forgets to ask whose it is fails here."""
    async with bench(token=TOKEN) as gateway:
        headers = user_token(gateway, "mallory")
        walked = 0
        for path, method in every_route(gateway):
            if not path.startswith("/v1/users/"):
                continue
            walked += 1
            url = path.replace("{user}", "alice").replace("{profile}", "0a0a0a0a")
            body = {"name": "x"} if method in ("POST", "PATCH") else {"profileId": "x"} if method == "PUT" else None
            response = await gateway.client.request(method, url, headers=headers, json=body)
            assert (method, path, response.status_code) == (method, path, 403)
            assert method == "HEAD" or response.json()["code"] == "user_mismatch"
        assert walked >= 19
        assert gateway.router.asked == []
        assert gateway.erasure.erased == []


def every_route(gateway: Bench) -> list[tuple[str, str]]:
    """(path, method) of each route; those the framework keeps in included routers come from its own document."""
    found = {
        (route.path, method)
        for route in gateway.application.routes
        if isinstance(route, Route | APIRoute)
        for method in route.methods or ()
    }
    document = gateway.application.openapi()["paths"]
    found |= {(path, method.upper()) for path, methods in document.items() for method in methods}
    return sorted(found)


async def test_user_token_reaches_its_own_user_and_me_only() -> None:
    async with bench(token=TOKEN) as gateway:
        headers = user_token(gateway, "alice")
        assert (await gateway.client.get("/v1/users/alice/status", headers=headers)).status_code == 200
        assert (await gateway.client.get("/v1/me/status", headers=headers)).status_code == 200
        assert {asked.address.user for asked in gateway.router.asked} == {"alice"}
        assert_problem(await gateway.client.get("/metrics", headers=headers), 403, "forbidden")
        both = headers | {"X-User-ID": "bob"}
        assert_problem(await gateway.client.get("/v1/me/status", headers=both), 403, "user_mismatch")
        gateway.clock.advance(120)
        assert_problem(await gateway.client.get("/v1/me/status", headers=headers), 401, "unauthorized", says="expired")


async def test_me_is_who_header_or_cookie_say(gateway: Bench) -> None:
    await gateway.client.get("/v1/me/status", headers={"X-User-ID": "alice"})
    await gateway.client.get("/v1/me/status", headers={"Cookie": "theme=dark; user_id=bob"})
    assert [asked.address.user for asked in gateway.router.asked] == ["alice", "bob"]
    assert_problem(await gateway.client.get("/v1/me/status"), 401, "user_required")


@pytest.mark.parametrize("headers", [{"X-User-ID": "bob"}, {"Cookie": "user_id=bob"}])
async def test_header_or_cookie_of_another_user_is_refused(gateway: Bench, headers: dict[str, str]) -> None:
    for path in ("/v1/users/alice/status", "/v1/users/alice/profiles"):
        assert_problem(await gateway.client.get(path, headers=headers), 403, "user_mismatch")


async def test_names_of_header_and_cookie_are_settings() -> None:
    async with bench(user_header="X-Athlete", user_cookie="athlete") as gateway:
        await gateway.client.get("/v1/me/status", headers={"X-Athlete": "alice", "X-User-ID": "bob"})
        await gateway.client.get("/v1/me/status", headers={"Cookie": "user_id=bob; athlete=carol"})
        assert [asked.address.user for asked in gateway.router.asked] == ["alice", "carol"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1:8700", "Origin": "http://127.0.0.1:8700"}, 200),
    ],
)
async def test_without_a_token_pages_of_other_origins_cannot_write(headers: dict[str, str], status: int) -> None:
    async with bench() as gateway:
        response = await gateway.client.post("/v1/users/alice/sql", content=SQL, headers=headers)
        assert response.status_code == status, response.text
    async with bench(token=TOKEN) as gateway:
        response = await gateway.client.post("/v1/users/alice/sql", content=SQL, headers=headers | SERVICE)
        assert response.status_code == 200


async def test_cors_answers_the_origins_of_the_settings_errors_included() -> None:
    async with bench(cors_origins=("http://app.example",), token=TOKEN) as gateway:
        asking = {
            "Origin": "http://app.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,idempotency-key,x-user-id",
        }
        preflight = await gateway.client.options("/v1/me/sql", headers=asking)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "http://app.example"
        refused = await gateway.client.get("/v1/me/status", headers={"Origin": "http://app.example"})
        assert_problem(refused, 401, "unauthorized")
        assert refused.headers["access-control-allow-origin"] == "http://app.example"
        other = await gateway.client.get("/healthz", headers={"Origin": "http://evil.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_header_that_decides_may_come_once_only(gateway: Bench) -> None:
    for name in ("X-User-ID", "Idempotency-Key", "Holdfast-Durability"):
        request = httpx.Request(
            "POST",
            "http://localhost/v1/me/sql",
            headers=[("X-User-ID", "alice"), (name, "a"), (name, "b")],
            content=SQL,
        )
        assert_problem(await gateway.client.send(request), 400, "invalid_request", says=name.lower())


async def test_requests_in_flight_are_bounded_and_probes_still_answer() -> None:
    async with bench(requests_max=3) as gateway:
        gateway.router.release = asyncio.Event()
        waiting = [asyncio.create_task(gateway.client.get("/v1/users/alice/status")) for _ in range(3)]
        for _ in waiting:
            await gateway.router.arrivals.acquire()
        assert_problem(await gateway.client.get("/v1/users/alice/status"), 503, "overloaded", retryable=True)
        assert (await gateway.client.get("/healthz")).status_code == 200
        gateway.router.release.set()
        assert [(await task).status_code for task in waiting] == [200] * 3
        assert (await gateway.client.get("/v1/users/alice/status")).status_code == 200


async def test_unforeseen_error_is_logged_under_the_request_id(
    gateway: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(asked: Asked) -> Reply:
        raise ZeroDivisionError("inner detail")

    gateway.router.answer = break_down
    await gateway.client.get("/v1/users/alice/status", headers={"X-Request-ID": "r-9"})
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.__dict__["request_id"] == "r-9"
    assert record.exc_info is not None
    assert gateway.lines()[-1]["code"] == "internal"


async def test_bodies_under_way_are_bounded_and_given_back() -> None:
    async with bench(body_bytes_max=1000, bodies_bytes_max=1500) as gateway:
        gateway.router.release = asyncio.Event()
        waiting = asyncio.create_task(gateway.client.post("/v1/users/alice/sql", content=b"x" * 1000))
        await gateway.router.arrivals.acquire()
        refused = await gateway.client.post("/v1/users/alice/sql", content=b"x" * 1000)
        assert_problem(refused, 503, "overloaded", retryable=True)
        gateway.router.release.set()
        assert (await waiting).status_code == 200
        assert (await gateway.client.post("/v1/users/alice/sql", content=b"x" * 1000)).status_code == 200
