"""The operations on one database, as far as the gateway has a part in them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from actors.call import Op, Reply
from actors.errors import ConstraintFailed, InR2Mode, OutcomeUnknownWrite, Overloaded, StatementTimeout
from storage.layout.address import Address
from tests.gateway.kit import Asked, Bench, ClosableStream, assert_problem, bench

SQL = b'{"sql":"SELECT 1"}'


async def default_profile(gateway: Bench, user: str = "alice") -> str:
    return str((await gateway.client.get(f"/v1/users/{user}/profiles")).json()["default"])


async def test_sql_body_travels_unparsed_and_the_answer_comes_back_as_made(gateway: Bench) -> None:
    gateway.router.answer = lambda asked: Reply(body=b'{"results": [ ] }', headers={"Holdfast-Epoch": "3"})
    odd = b"\xff not json \x00 at all"
    response = await gateway.client.post("/v1/users/alice/sql", content=odd)
    assert response.status_code == 200
    assert response.content == b'{"results": [ ] }'
    assert response.headers["content-type"] == "application/json"
    assert response.headers["holdfast-mode"] == "actor"
    assert response.headers["holdfast-epoch"] == "3"
    assert gateway.router.asked[0].body == odd


async def test_all_four_shapes_of_path_reach_the_same_database(gateway: Bench) -> None:
    profile = await default_profile(gateway)
    me = {"X-User-ID": "alice"}
    paths = {
        f"/v1/users/alice/profiles/{profile}/sql": {},
        "/v1/users/alice/sql": {},
        f"/v1/me/profiles/{profile}/sql": me,
        "/v1/me/sql": me,
    }
    for path, headers in paths.items():
        assert (await gateway.client.post(path, content=SQL, headers=headers)).status_code == 200
    assert {asked.address for asked in gateway.router.asked} == {Address("alice", profile)}


async def test_sql_headers_and_query_become_arguments(gateway: Bench) -> None:
    headers = {"Holdfast-Durability": "r2", "Idempotency-Key": "k-1"}
    await gateway.client.post("/v1/users/alice/sql?shape=objects", content=SQL, headers=headers)
    await gateway.client.post("/v1/users/alice/sql", content=SQL)
    assert gateway.router.asked[0].op is Op.SQL
    assert gateway.router.asked[0].args == {"shape": "objects", "durability": "r2", "idempotency_key": "k-1"}
    assert gateway.router.asked[1].args == {"shape": "arrays"}


async def test_stream_is_asked_for_and_passed_through(gateway: Bench) -> None:
    stream = ClosableStream([b'{"columns":["a"]}\n', b"[1]\n", b"[2]\n"])
    gateway.router.answer = lambda asked: Reply(stream=stream, content_type="application/x-ndjson")
    response = await gateway.client.post("/v1/users/alice/sql?stream=true", content=SQL)
    assert gateway.router.asked[0].op is Op.SQL_STREAM
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.content == b'{"columns":["a"]}\n[1]\n[2]\n'
    assert stream.closed


async def test_stream_that_fails_before_its_first_chunk_is_a_proper_error(gateway: Bench) -> None:
    stream = ClosableStream([], failure=StatementTimeout("past 5 s"))
    gateway.router.answer = lambda asked: Reply(stream=stream)
    response = await gateway.client.post("/v1/users/alice/sql?stream=true", content=SQL)
    assert_problem(response, 408, "statement_timeout")
    assert stream.closed


async def test_stream_that_fails_later_is_broken_off_and_not_ended(gateway: Bench) -> None:
    stream = ClosableStream([b"[1]\n"], failure=StatementTimeout("past 5 s"))
    gateway.router.answer = lambda asked: Reply(stream=stream)
    with pytest.raises(Exception, match="past 5 s"):
        await gateway.client.post("/v1/users/alice/sql?stream=true", content=SQL)
    assert stream.closed


async def test_status_durable_and_flush_reach_the_actor(gateway: Bench) -> None:
    bookmark = "00000001-0000000000000002-00000001"
    assert (await gateway.client.get("/v1/users/alice/status")).json() == {"ok": "status"}
    query = f"bookmark={bookmark}&level=local&timeout_s=2.5"
    assert (await gateway.client.get(f"/v1/users/alice/durable?{query}")).json() == {"ok": "durable"}
    assert (await gateway.client.post("/v1/users/alice/flush")).json() == {"ok": "flush"}
    assert [asked.op for asked in gateway.router.asked] == [Op.STATUS, Op.DURABLE, Op.FLUSH]
    assert gateway.router.asked[1].args == {"bookmark": bookmark, "level": "local", "timeout_s": 2.5}


async def test_durable_waits_for_the_bucket_unless_told_otherwise(gateway: Bench) -> None:
    await gateway.client.get("/v1/users/alice/durable?bookmark=00000001-0000000000000002-00000001")
    assert gateway.router.asked[0].args["level"] == "r2"
    assert gateway.router.asked[0].args["timeout_s"] == 10.0


async def test_export_is_a_named_file(gateway: Bench) -> None:
    profile = await default_profile(gateway)
    stream = ClosableStream([b"SQLite format 3\0", b"rest"])
    gateway.router.answer = lambda asked: Reply(stream=stream, content_type="application/vnd.sqlite3")
    response = await gateway.client.get("/v1/users/alice/export")
    assert response.content == b"SQLite format 3\0rest"
    assert response.headers["content-disposition"] == f'attachment; filename="alice-{profile}.sqlite"'
    assert response.headers["content-type"] == "application/vnd.sqlite3"


@pytest.mark.parametrize(("query", "replace"), [("", False), ("?replace=true", True), ("?replace=false", False)])
async def test_import_streams_the_file(gateway: Bench, query: str, replace: bool) -> None:
    response = await gateway.client.put(f"/v1/users/alice/import{query}", content=b"SQLite" * 1000)
    assert response.status_code == 200
    assert gateway.router.asked[0].args == {"replace": replace}
    assert gateway.router.asked[0].streamed == b"SQLite" * 1000


async def test_import_beyond_its_bound_is_refused_before_the_actor_hears_of_it() -> None:
    async with bench(import_bytes_max=100) as gateway:
        response = await gateway.client.put("/v1/users/alice/import", content=b"x" * 101)
        assert_problem(response, 413, "body_too_large")
        assert gateway.router.asked == []


async def test_import_without_a_declared_length_is_cut_at_its_bound() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 10

    async with bench(import_bytes_max=100) as gateway:
        response = await gateway.client.put("/v1/users/alice/import", content=chunks())
        assert_problem(response, 413, "body_too_large")
        assert len(gateway.router.asked[0].streamed or b"") <= 100


async def test_mode_says_r2_when_the_actor_refuses_for_that_reason(gateway: Bench) -> None:
    gateway.router.fail_with(InR2Mode("alice is served in r2 mode"))
    response = await gateway.client.post("/v1/users/alice/sql", content=SQL)
    assert_problem(response, 409, "in_r2_mode")
    assert response.headers["holdfast-mode"] == "r2"


async def test_errors_of_the_actor_keep_code_details_and_retry_after(gateway: Bench) -> None:
    gateway.router.fail_with(Overloaded("inbox full", retry_after_s=2.2, details={"calls": 1024}))
    response = await gateway.client.post("/v1/users/alice/sql", content=SQL)
    body = assert_problem(response, 503, "overloaded", retryable=True, says="inbox full")
    assert response.headers["retry-after"] == "3"
    assert body["details"] == {"calls": 1024}


async def test_unknown_outcome_is_not_retryable(gateway: Bench) -> None:
    gateway.router.fail_with(OutcomeUnknownWrite("the link broke"))
    assert_problem(await gateway.client.post("/v1/users/alice/sql", content=SQL), 503, "outcome_unknown")


async def test_a_bug_in_the_router_is_a_500_without_its_trace(gateway: Bench) -> None:
    def break_down(asked: Asked) -> Reply:
        raise ZeroDivisionError("secret detail")

    gateway.router.answer = break_down
    response = await gateway.client.post("/v1/users/alice/sql", content=SQL)
    assert_problem(response, 500, "internal")
    assert "secret" not in response.text
    gateway.router.answer = None
    assert (await gateway.client.post("/v1/users/alice/sql", content=SQL)).status_code == 200


async def test_same_endpoint_answers_with_and_without_the_short_cut(gateway: Bench) -> None:
    """HEAD status goes through the framework's router, GET status past it."""
    short, long = (
        await gateway.client.get("/v1/users/alice/status"),
        await gateway.client.head("/v1/users/alice/status"),
    )
    assert short.status_code == long.status_code == 200
    assert short.headers["holdfast-mode"] == long.headers["holdfast-mode"] == "actor"
    assert [line["route"] for line in gateway.lines()] == ["/v1/users/{user}/status"] * 2


async def test_one_users_error_leaves_others_alone(gateway: Bench) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.address.user == "mallory":
            raise ConstraintFailed("UNIQUE")
        return Reply(body=b"{}")

    gateway.router.answer = answer
    statuses = [
        (await gateway.client.post(f"/v1/users/{user}/sql", content=SQL)).status_code for user in ("mallory", "bob")
    ]
    assert statuses == [409, 200]


def test_httpx_reports_what_it_sent() -> None:
    """The client used here adds Content-Length itself, so that the declared bound is what is tested."""
    assert httpx.Request("PUT", "http://localhost", content=b"abc").headers["content-length"] == "3"


async def test_head_does_not_make_an_export_to_throw_it_away(gateway: Bench) -> None:
    assert (await gateway.client.head("/v1/users/alice/export")).status_code == 405
    assert gateway.router.asked == []
