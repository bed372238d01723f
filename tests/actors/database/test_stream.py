"""Answers of any length as JSON lines, from a copy, in a worker thread, at the consumer's pace."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import msgspec
import pytest

from actors.database.stream import CHUNK_BYTES, open_stream
from actors.errors import NotAuthorized, SqlError
from storage.errors import HoldfastError, InvalidRequest
from tests.actors.database.factory import SETTINGS, a_batch, a_database, run

COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT ?) SELECT x, 'row ' || x AS name FROM c"


async def lines(database: Any, sql: str, params: Any = None, **options: Any) -> list[Any]:
    stream = await open_stream(database.copy_image(), SETTINGS, a_batch((sql, params)), **options)
    body = b"".join([chunk async for chunk in stream])
    assert body.endswith(b"\n")
    return [msgspec.json.decode(line) for line in body.splitlines()]


async def test_a_stream_is_columns_rows_and_their_number() -> None:
    assert await lines(a_database(), COUNT, [3]) == [
        {"columns": ["x", "name"]},
        [1, "row 1"],
        [2, "row 2"],
        [3, "row 3"],
        {"rows": 3},
    ]


async def test_rows_may_be_objects() -> None:
    assert (await lines(a_database(), COUNT, [1], shape="objects"))[1] == {"x": 1, "name": "row 1"}


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 5000])
async def test_every_row_is_there_once(count: int) -> None:
    answer = await lines(
        a_database("CREATE TABLE t(a)"), COUNT if count else "SELECT a FROM t", [count] if count else None
    )
    assert [row[0] for row in answer[1:-1]] == list(range(1, count + 1))
    assert answer[-1] == {"rows": count}


async def test_more_rows_than_an_answer_may_hold_stream_in_bounded_chunks() -> None:
    stream = await open_stream(a_database().copy_image(), SETTINGS, a_batch((COUNT, [150_000])))
    sizes = [len(chunk) async for chunk in stream]
    assert len(sizes) > 20
    assert max(sizes) < 2 * CHUNK_BYTES


async def test_the_consumer_sets_the_pace() -> None:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    stream = cast(AsyncGenerator[bytes, None], await open_stream(a_database().copy_image(), SETTINGS, a_batch(endless)))
    first = await anext(stream)
    assert first.startswith(b'{"columns":["x"]}\n[1]\n')
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_stream_reads_the_moment_it_was_opened() -> None:
    database = a_database("CREATE TABLE t(a)", "INSERT INTO t VALUES(1)")
    stream = await open_stream(database.copy_image(), SETTINGS, a_batch("SELECT a FROM t"))
    run(database, "UPDATE t SET a = 2")
    assert b"[1]" in b"".join([chunk async for chunk in stream])


async def test_one_text_that_is_no_utf8_does_not_break_a_stream_off() -> None:
    database = a_database("CREATE TABLE t(a, b)")
    run(database, f"INSERT INTO t {COUNT}", [50])
    run(database, "UPDATE t SET b = CAST(x'ff' AS TEXT) WHERE a IN (20, 40)")
    answer = await lines(database, "SELECT a, b FROM t ORDER BY a")
    assert [row[0] for row in answer[1:-1]] == list(range(1, 51))
    assert answer[20] == [20, {"text_base64": "/w=="}]
    assert answer[21] == [21, "row 21"]


async def test_an_error_after_the_first_row_is_the_last_line() -> None:
    database = a_database("CREATE TABLE t(a)", "INSERT INTO t VALUES('[1]'), ('not json')")
    answer = await lines(database, "SELECT json_extract(a, '$[0]') FROM t")
    assert answer[-1]["error"]["code"] == "sql_error"
    assert "malformed JSON" in answer[-1]["error"]["message"]


@pytest.mark.parametrize(
    ("sql", "error", "reason"),
    [
        ("SELECT ?", SqlError, "wrong number"),
        ("SELEC 1", SqlError, "syntax error"),
        ("", SqlError, "no statement"),
        ("SELECT 1; SELECT 2", InvalidRequest, "several"),
        ("INSERT INTO t VALUES(1)", InvalidRequest, "only reads"),
        ("CREATE TABLE u(a)", InvalidRequest, "only reads"),
        ("SELECT * FROM _cf_meta", NotAuthorized, "_cf_meta"),
        ("SELECT json('x')", SqlError, "malformed JSON"),
    ],
)
async def test_what_is_wrong_before_the_first_row_is_raised(sql: str, error: type[HoldfastError], reason: str) -> None:
    database = a_database("CREATE TABLE t(a)")
    database.system(lambda system: system.execute("CREATE TABLE _cf_meta(a)"))
    with pytest.raises(error, match=reason):
        await open_stream(database.copy_image(), SETTINGS, a_batch(sql))


async def test_several_statements_are_no_stream() -> None:
    with pytest.raises(InvalidRequest, match="one statement"):
        await open_stream(a_database().copy_image(), SETTINGS, a_batch("SELECT 1", "SELECT 2"))


async def test_a_chunk_past_the_deadline_ends_the_stream_with_its_code() -> None:
    at = 0.0

    def clock() -> float:
        nonlocal at
        at += 1.0
        return at

    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c WHERE x = 1"
    answer = await lines(a_database(), endless, now=clock)
    assert answer[-1]["error"]["code"] == "statement_timeout"


class Watched(ThreadPoolExecutor):
    """Tells when its second job, the first chunk, is running."""

    def __init__(self) -> None:
        super().__init__(1)
        self.jobs = 0
        self.running = threading.Event()

    def submit(self, work: Any, /, *args: Any, **named: Any) -> Any:
        self.jobs += 1
        number = self.jobs

        def job() -> Any:
            if number == 2:
                self.running.set()
            return work(*args, **named)

        return super().submit(job)


@pytest.mark.timeout(30)
async def test_a_cancelled_consumer_ends_the_statement_that_runs_for_it() -> None:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c WHERE x = 2"
    patient = dataclasses.replace(SETTINGS, statement_deadline_s=3600.0)
    with Watched() as executor:
        stream = await open_stream(a_database().copy_image(), patient, a_batch(endless), executor=executor)
        reading = asyncio.ensure_future(anext(stream))
        assert await asyncio.to_thread(executor.running.wait, 20)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
