"""Bad input, as a table: what the gateway alone decides. Each case gets a typed problem, and others are still served.

What the database decides (statements, limits, damaged logs) is in test_bad_input_end_to_end.py; bytes that are no HTTP
request, endless heads and silent connections are in test_server.py, over real sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest

from tests.gateway.kit import assert_problem, bench

U = "/v1/users/alice"
MB = 1 << 20


@dataclass(frozen=True)
class Case:
    """One bad request and the answer it deserves. `reaches` says whether the actor may hear of it."""

    name: str
    method: str
    path: str
    status: int
    code: str
    says: str = ""
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


JSON = {"content-type": "application/json"}
LONG = "x" * 129

CASES = [
    # ids
    Case("dots as user", "POST", "/v1/users/%2e%2e/sql", 400, "invalid_id", "user id"),
    Case("escaping user", "POST", "/v1/users/..%2f..%2fetc/sql", 404, "not_found"),
    Case("doubly encoded dots", "POST", "/v1/users/%252e%252e/sql", 400, "invalid_id"),
    Case("dots as profile", "GET", f"{U}/profiles/%2e%2e/status", 400, "invalid_id", "profile id"),
    Case("user beginning with a dot", "GET", "/v1/users/.alice/status", 400, "invalid_id"),
    Case("user with a null byte", "GET", "/v1/users/al%00ice/status", 400, "invalid_id"),
    Case("user with a newline", "GET", "/v1/users/alice%0a/status", 400, "invalid_id"),
    Case("user of another alphabet", "GET", "/v1/users/%D0%B0lice/status", 400, "invalid_id"),
    Case("user of broken utf-8", "GET", "/v1/users/%ff/status", 400, "invalid_id"),
    Case("long user", "GET", f"/v1/users/{LONG}/status", 400, "invalid_id"),
    Case("reserved user", "GET", "/v1/users/me/status", 400, "invalid_id", "reserved"),
    Case("reserved environment as user", "GET", "/v1/users/prod/status", 400, "invalid_id", "reserved"),
    Case("reserved profile", "GET", f"{U}/profiles/games/status", 400, "invalid_id", "reserved"),
    Case("empty user", "GET", "/v1/users//status", 404, "not_found"),
    Case("missing profile", "POST", f"{U}/profiles/ffffffff/sql", 404, "profile_not_found", "ffffffff"),
    Case("me without a user", "GET", "/v1/me/status", 401, "user_required"),
    Case("me with a bad header", "GET", "/v1/me/status", 400, "invalid_id", headers={"X-User-ID": "../x"}),
    Case("me with a bad cookie", "GET", "/v1/me/status", 400, "invalid_id", headers={"Cookie": "user_id=a/b"}),
    Case("another user's header", "GET", f"{U}/status", 403, "user_mismatch", headers={"X-User-ID": "bob"}),
    # routes and methods
    Case("no such route", "GET", "/v1/users/alice/nothing", 404, "not_found"),
    Case("no such version", "GET", "/v2/users/alice/status", 404, "not_found"),
    Case("slash at the end", "GET", f"{U}/status/", 404, "not_found"),
    Case("wrong method", "GET", f"{U}/sql", 405, "method_not_allowed"),
    Case("unknown method", "BREW", f"{U}/sql", 405, "method_not_allowed"),
    Case("trace", "TRACE", f"{U}/status", 405, "method_not_allowed"),
    Case("connect", "CONNECT", f"{U}/status", 405, "method_not_allowed"),
    Case("webdav", "PROPFIND", f"{U}/export", 405, "method_not_allowed"),
    Case("delete of a database", "DELETE", f"{U}/sql", 405, "method_not_allowed"),
    # bodies
    Case("30 MB of SQL", "POST", f"{U}/sql", 413, "body_too_large", "16777216", content=b"x" * (30 * MB)),
    Case("100 KB for a small body", "PATCH", f"{U}/profiles/ffffffff", 413, "body_too_large", content=b"x" * 100_000),
    Case("malformed JSON", "POST", f"{U}/profiles", 400, "invalid_request", "JSON", b'{"name":', JSON),
    Case("JSON of a wrong type", "POST", f"{U}/profiles", 400, "invalid_request", "name", b'{"name":[1]}', JSON),
    Case("unknown field", "POST", f"{U}/profiles", 400, "invalid_request", "nmae", b'{"nmae":"x"}', JSON),
    Case("no body", "PUT", f"{U}/selected-profile", 400, "invalid_request", "body"),
    Case("form for JSON", "POST", f"{U}/profiles", 400, "invalid_request", content=b"name=x"),
    Case("JSON too deep", "POST", f"{U}/profiles", 400, "invalid_request", content=b"[" * 60_000, headers=JSON),
    # headers and queries
    Case(
        "unknown durability",
        "POST",
        f"{U}/sql",
        400,
        "invalid_request",
        "local",
        headers={"Holdfast-Durability": "disk"},
    ),
    Case("empty durability", "POST", f"{U}/sql", 400, "invalid_request", headers={"Holdfast-Durability": ""}),
    Case("empty key", "POST", f"{U}/sql", 400, "invalid_request", "Idempotency-Key", headers={"Idempotency-Key": ""}),
    Case("long key", "POST", f"{U}/sql", 400, "invalid_request", "255", headers={"Idempotency-Key": "k" * 256}),
    Case("unknown shape", "POST", f"{U}/sql?shape=cubes", 400, "invalid_request", "arrays, objects"),
    Case("unknown parameter", "POST", f"{U}/sql?strem=true", 400, "invalid_request", "strem"),
    Case("parameter twice", "POST", f"{U}/sql?stream=true&stream=false", 400, "invalid_request", "more than once"),
    Case("stream maybe", "POST", f"{U}/sql?stream=maybe", 400, "invalid_request", "true or false"),
    Case("replace maybe", "PUT", f"{U}/import?replace=maybe", 400, "invalid_request", "true or false"),
    Case("no bookmark", "GET", f"{U}/durable", 400, "invalid_request", "bookmark"),
    Case("bad bookmark", "GET", f"{U}/durable?bookmark=yesterday", 400, "invalid_bookmark"),
    Case("huge bookmark", "GET", f"{U}/durable?bookmark={'0' * 5000}", 400, "invalid_bookmark"),
    Case("unknown level", "GET", f"{U}/durable?level=tape", 400, "invalid_request", "memory, local, r2"),
    Case("endless wait", "GET", f"{U}/durable?timeout_s=1e9", 400, "invalid_request", "0 to 60"),
    Case("wait of no number", "GET", f"{U}/durable?timeout_s=nan", 400, "invalid_request", "seconds"),
    # links
    Case("object without a signature", "GET", "/v1/objects/dev/x", 403, "invalid_link"),
    Case(
        "object key that climbs",
        "GET",
        "/v1/objects/dev/..%2f..%2fx?expires=1&signature=0",
        400,
        "invalid_request",
        "'..'",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_bad_request_is_a_typed_problem_and_others_are_served(case: Case) -> None:
    async with bench() as gateway:
        before = len(gateway.router.asked)
        request = httpx.Request(case.method, "http://localhost" + case.path, content=case.content, headers=case.headers)
        assert request.url.raw_path.decode() == case.path, "the client changed the path"
        response = await gateway.client.send(request)
        assert_problem(response, case.status, case.code, says=case.says)
        assert len(gateway.router.asked) == before, "the actor heard of it"
        assert (await gateway.client.post("/v1/users/bob/sql", content=b'{"sql":"SELECT 1"}')).status_code == 200


def test_names_of_cases_are_told_apart() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


async def test_body_without_a_length_is_cut_at_the_bound() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += MB
            yield b"x" * MB

    async with bench() as gateway:
        response = await gateway.client.post(f"{U}/sql", content=endless())
        assert_problem(response, 413, "body_too_large")
        assert sent <= 18 * MB
        assert gateway.router.asked == []


async def test_nothing_of_a_bad_request_is_written_to_the_bucket() -> None:
    async with bench() as gateway:
        for case in CASES:
            if case.code == "invalid_id" or case.status == 405:
                await gateway.client.request(case.method, case.path, content=case.content, headers=case.headers)
        assert (await gateway.store.list("")).objects == ()
