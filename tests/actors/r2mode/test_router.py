"""R2 mode answers like an actor: the same JSON, guard, limits and errors; what it cannot do it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import apsw
import msgspec
import pytest

from actors.call import Op
from actors.errors import (
    ConstraintFailed,
    DatabaseFull,
    IdempotencyKeyReused,
    InvalidDatabase,
    NeedsActorMode,
    NotAuthorized,
    NotEmpty,
    OutcomeUnknownWrite,
    SqlError,
    StatementTimeout,
)
from storage.errors import InvalidRequest
from storage.r2_sqlite.errors import ChangingModes, FileMissing, FileMoved
from storage.r2_sqlite.file_state import Mode, read_state
from storage.r2_sqlite.transition import Event
from tests.actors.r2mode.file_bucket import KEY, an_asker, chunks_of, content
from tests.actors.virtual_time import virtual
from tests.storage.r2_sqlite.bucket import Bucket

INSERT = "INSERT INTO games(name) VALUES(?)"


def a_file(sql: str, *, page_size: int = 4096) -> bytes:
    connection = apsw.Connection(":memory:")
    connection.execute(f"PRAGMA page_size = {page_size}")
    connection.execute(sql)
    return connection.serialize("main")


@virtual
async def test_a_new_user_finds_the_built_in_schema_and_nothing_is_stored_before_a_write() -> None:
    asker = an_asker()
    assert await asker.rows("SELECT count(*) FROM games") == [[0]]
    assert asker.store.puts() == []
    await asker.sql(INSERT, "final")
    assert await asker.rows("SELECT name FROM games") == [["final"]]
    assert len(asker.store.puts()) == 1


@virtual
async def test_an_answer_is_an_actors_with_r2_durability_and_no_bookmark() -> None:
    asker = an_asker()
    for level in (None, "memory", "local", "r2"):
        args = {} if level is None else {"durability": level}
        answer = await asker.sql(INSERT, "x", **args)
        assert (answer["durability"], answer["bookmark"]) == ("r2", None)
    assert answer["results"] == [{"columns": [], "rows": [], "changes": 1, "last_insert_rowid": 4}]
    shaped = await asker.sql("SELECT id, name FROM games WHERE id = 1", shape="objects")
    assert shaped["results"][0]["rows"] == [{"id": 1, "name": "x"}]
    with pytest.raises(InvalidRequest):
        await asker.sql("SELECT 1", durability="tape")


@virtual
async def test_a_write_that_changes_nothing_saves_nothing() -> None:
    asker = an_asker()
    await asker.sql(INSERT, "a")
    before = len(asker.store.puts())
    await asker.sql("UPDATE games SET name = 'b' WHERE id = 99")
    await asker.sql("SELECT * FROM games")
    assert len(asker.store.puts()) == before


@virtual
async def test_a_batch_is_one_transaction() -> None:
    asker = an_asker()
    body = msgspec.json.encode(
        {"statements": [{"sql": INSERT, "params": ["a"]}, {"sql": "INSERT INTO nothing VALUES(1)"}]}
    )
    with pytest.raises(SqlError):
        await asker.call(Op.SQL, {}, body)
    assert (await asker.rows("SELECT count(*) FROM games"), asker.store.puts()) == ([[0]], [])


@virtual
@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELEC 1", SqlError),
        ("INSERT INTO games(name) VALUES(NULL)", ConstraintFailed),
        ("ATTACH 'x' AS y", NotAuthorized),
        ("SELECT * FROM _cf_file", NotAuthorized),
        ("DELETE FROM _cf_file", NotAuthorized),
        ("DROP TABLE _cf_file", NotAuthorized),
        ("PRAGMA journal_mode = WAL", NotAuthorized),
        ("VACUUM", NotAuthorized),
    ],
)
async def test_the_guard_and_the_errors_are_an_actors(sql: str, error: type[Exception]) -> None:
    asker = an_asker()
    await asker.sql(INSERT, "a")
    before = await asker.store.inner.get(KEY)
    with pytest.raises(error):
        await asker.sql(sql)
    assert (await asker.store.inner.get(KEY)).body == before.body


@virtual
async def test_limits_hold() -> None:
    asker = an_asker(database_bytes_max=200_000, parameters_max=10)
    with pytest.raises(DatabaseFull):
        await asker.sql(INSERT, "x" * 300_000)
    with pytest.raises(InvalidRequest):
        await asker.sql("SELECT 1", *range(11))
    slow = an_asker(statement_deadline_s=-1.0)
    with pytest.raises(StatementTimeout):
        await slow.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")


@virtual
async def test_an_idempotency_key_is_answered_once_run_and_travels_with_the_file() -> None:
    asker = an_asker()
    first = await asker.sql(INSERT, "a", idempotency_key="k")
    reply = await an_asker(asker.store, seed=2).call(
        Op.SQL, {"idempotency_key": "k"}, msgspec.json.encode({"sql": INSERT, "params": ["a"]})
    )
    assert (msgspec.json.decode(reply.body), reply.headers) == (first, {"Idempotent-Replay": "true"})
    assert await asker.rows("SELECT count(*) FROM games") == [[1]]
    with pytest.raises(IdempotencyKeyReused):
        await asker.sql(INSERT, "b", idempotency_key="k")


@virtual
async def test_an_unknown_outcome_is_an_actors_and_not_to_be_repeated() -> None:
    asker = an_asker()
    await asker.sql(INSERT, "a")
    asker.store.hold("put")
    writing = asyncio.create_task(asker.sql(INSERT, "b"))
    held = await asker.store.next_held()
    asker.store.let_go()
    asker.store.broken = "away"
    held.fail()
    with pytest.raises(OutcomeUnknownWrite) as unknown:
        await writing
    assert not unknown.value.retryable


# ---- files of any age


@virtual
@pytest.mark.parametrize("page_size", [512, 4096, 65536])
async def test_an_older_codes_file_is_served_as_it_is(page_size: int) -> None:
    body = a_file("CREATE TABLE t(a); INSERT INTO t VALUES(1)", page_size=page_size)
    asker = an_asker()
    await asker.store.inner.put(KEY, body)
    assert await asker.rows("SELECT a FROM t") == [[1]]
    assert (await asker.store.inner.get(KEY)).body == body
    await asker.sql("INSERT INTO t VALUES(2)")
    stored = (await asker.store.inner.get(KEY)).body
    assert read_state(stored).state is Mode.OPEN
    assert int.from_bytes(stored[16:18], "big") in (page_size, 1)
    assert await asker.rows("SELECT a FROM t") == [[1], [2]]
    assert await asker.rows("SELECT name FROM sqlite_schema WHERE name = 'games'") == []


@virtual
async def test_a_file_with_a_wal_header_is_served() -> None:
    body = bytearray(a_file("CREATE TABLE t(a); INSERT INTO t VALUES(1)"))
    body[18:20] = b"\x02\x02"
    asker = an_asker()
    await asker.store.inner.put(KEY, bytes(body))
    await asker.sql("INSERT INTO t VALUES(2)")
    assert await asker.rows("SELECT count(*) FROM t") == [[2]]


# ---- whole files


@virtual
async def test_an_export_has_the_users_tables_and_none_of_the_systems() -> None:
    asker = an_asker()
    await asker.sql(INSERT, "a", idempotency_key="k")
    reply = await asker.call(Op.EXPORT)
    exported = apsw.Connection(":memory:")
    exported.deserialize("main", await content(reply))
    assert exported.execute("SELECT name FROM games").fetchall() == [("a",)]
    assert exported.execute("SELECT name FROM sqlite_schema WHERE name LIKE '\\_cf%' ESCAPE '\\'").fetchall() == []
    assert reply.content_type == "application/vnd.sqlite3"


@virtual
async def test_an_import_replaces_the_data_and_keeps_state_and_ring() -> None:
    asker = an_asker()
    first = await asker.sql(INSERT, "a", idempotency_key="k")
    ring = read_state((await asker.store.inner.get(KEY)).body).ring
    data = a_file("CREATE TABLE t(a); INSERT INTO t VALUES(7)")
    with pytest.raises(NotEmpty):
        await asker.call(Op.IMPORT, stream=chunks_of(data))
    reply = await asker.call(Op.IMPORT, {"replace": True}, stream=chunks_of(data))
    answer = msgspec.json.decode(reply.body)
    assert (answer["imported"], answer["durability"], answer["bookmark"]) == (True, "r2", None)
    assert await asker.rows("SELECT a FROM t") == [[7]]
    assert read_state((await asker.store.inner.get(KEY)).body).ring[:-1] == ring
    assert await asker.sql(INSERT, "a", idempotency_key="k") == first


@virtual
async def test_a_wrong_or_too_large_upload_is_refused_and_nothing_is_stored() -> None:
    asker = an_asker(database_bytes_max=100_000)
    for data in (b"no database", b"x" * 200_000):
        with pytest.raises(InvalidDatabase):
            await asker.call(Op.IMPORT, stream=chunks_of(data))
    assert asker.store.puts() == []


@virtual
async def test_a_stream_has_the_rows_as_lines() -> None:
    asker = an_asker()
    await asker.sql(INSERT, "a")
    reply = await asker.call(Op.SQL_STREAM, {}, b'{"sql":"SELECT name FROM games"}')
    lines = (await content(reply)).splitlines()
    assert lines == [b'{"columns":["name"]}', b'["a"]', b'{"rows":1}']
    with pytest.raises(InvalidRequest):
        await asker.call(Op.SQL_STREAM, {}, b'{"sql":"DELETE FROM games"}')


# ---- small answers


@virtual
async def test_status_says_mode_generation_and_size() -> None:
    asker = an_asker()
    assert await asker.json(Op.STATUS) == {
        "address": "alice/main",
        "mode": "r2",
        "state": "open",
        "generation": 0,
        "size_bytes": 0,
    }
    await asker.sql(INSERT, "a")
    answer = await asker.json(Op.STATUS)
    info = await asker.store.inner.head(KEY)
    assert (answer["mode"], answer["size_bytes"], answer["version"]) == ("r2", info.size, info.etag)


@virtual
async def test_a_flush_has_nothing_to_wait_for_and_a_release_nobody_to_end() -> None:
    asker = an_asker()
    assert await asker.json(Op.FLUSH) == {"bookmark": None, "durability": "r2"}
    assert await asker.json(Op.RELEASE) == {"released": True}


@virtual
async def test_a_bookmark_needs_an_actor_and_the_wish_is_counted() -> None:
    asker = an_asker()
    await asker.sql(INSERT, "a")
    with pytest.raises(NeedsActorMode) as refused:
        await asker.call(Op.DURABLE, {"bookmark": "1-1-1", "level": "r2"})
    assert (refused.value.code, refused.value.retryable) == ("needs_actor_mode", False)
    assert asker.router.files.figures.of("alice").needs_actor == 1


# ---- not this router's


@virtual
@pytest.mark.parametrize("op", [Op.SQL, Op.SQL_STREAM, Op.STATUS, Op.EXPORT, Op.IMPORT, Op.FLUSH, Op.DURABLE])
async def test_what_is_an_actors_or_nobodys_is_said_before_anything_is_taken(op: Op) -> None:
    asker = an_asker()
    taken: list[bytes] = []

    async def upload() -> AsyncIterator[bytes]:
        taken.append(b"x")
        yield b"x"

    async def ask() -> None:
        await asker.call(op, {"bookmark": "x"}, b'{"sql":"SELECT 1"}', stream=upload(), create=False)

    with pytest.raises(FileMissing):
        await ask()
    await asker.sql(INSERT, "a")
    bucket = Bucket(asker.store)
    await bucket.change(Event.SEAL)
    await bucket.change(Event.CUT_OVER)
    with pytest.raises(FileMoved):
        await ask()
    await bucket.change(Event.RETURN)
    if op is not Op.STATUS:
        with pytest.raises(ChangingModes):
            await ask()
    assert taken == []


@virtual
async def test_while_sealing_reads_of_every_kind_go_on_and_writes_wait() -> None:
    asker = an_asker()
    await asker.sql(INSERT, "a")
    await Bucket(asker.store).change(Event.SEAL)
    assert await asker.rows("SELECT name FROM games") == [["a"]]
    for op in (Op.STATUS, Op.FLUSH):
        await asker.json(op)
    for op in (Op.EXPORT, Op.SQL_STREAM):
        await content(await asker.call(op, {}, b'{"sql":"SELECT 1"}'))
    for op in (Op.SQL, Op.IMPORT):
        with pytest.raises(ChangingModes):
            await asker.call(op, {"replace": True} if op is Op.IMPORT else {}, b'{"sql":"DELETE FROM games"}')


@virtual
async def test_a_file_that_moves_while_an_upload_arrives_is_to_be_sent_again() -> None:
    asker = an_asker()
    await asker.sql(INSERT, "a")
    bucket = Bucket(asker.store)

    async def upload() -> AsyncIterator[bytes]:
        await bucket.change(Event.SEAL)
        await bucket.change(Event.CUT_OVER)
        yield a_file("CREATE TABLE t(a)")

    with pytest.raises(ChangingModes) as refused:
        await asker.call(Op.IMPORT, {"replace": True}, stream=upload())
    assert refused.value.retryable


@virtual
async def test_many_writers_through_two_gateways_lose_nothing() -> None:
    one = an_asker()
    other = an_asker(one.store, seed=2)
    await asyncio.gather(*(asker.sql(INSERT, f"g{n}") for n in range(5) for asker in (one, other)))
    assert await one.rows("SELECT count(*) FROM games") == [[10]]
