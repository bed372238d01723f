"""Bad input, as tables: what the database, the log and the disk under a real activation decide.

After every case the same user is still served what was acknowledged before, and so are others.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

import pytest

from actors.settings import ActorSettings, DatabaseSettings, OwnershipMode
from storage.errors import Unavailable
from storage.layout.keys import database_key, log_prefix
from tests.actors.kit import ENV, virtual
from tests.gateway.kit import assert_problem
from tests.gateway.local import Local, TickingClock, local_gateway

DATABASE = DatabaseSettings(database_bytes_max=4 << 20, statement_deadline_s=0.5, inline_budget_s=0.05)
COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c{}) SELECT x FROM c"


@dataclass(frozen=True)
class Case:
    """A request body for POST sql, and the answer it deserves."""

    name: str
    body: object
    status: int
    code: str
    says: str = ""

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def sql(text: str, *params: object) -> dict[str, object]:
    return {"sql": text, "params": list(params)}


CASES = [
    # the request itself
    Case("empty body", b"", 400, "invalid_request"),
    Case("malformed JSON", b'{"sql": "SELECT 1"', 400, "invalid_request"),
    Case("JSON in another encoding", '{"sql":"SELECT 1"}'.encode("utf-16"), 400, "invalid_request"),
    Case("invalid utf-8", b'{"sql":"SELECT \'\xff\'"}', 400, "invalid_request"),
    Case("JSON of a wrong type", b"[1]", 400, "invalid_request"),
    Case("JSON too deep", b'{"sql":"SELECT ?","params":' + b"[" * 100_000, 400, "invalid_request"),
    Case("wrong type of sql", {"sql": 7}, 400, "invalid_request"),
    Case("wrong type of params", {"sql": "SELECT ?", "params": "x"}, 400, "invalid_request"),
    Case("wrong type of one parameter", sql("SELECT ?", [1]), 400, "invalid_request"),
    Case("blob that is no base64", sql("SELECT ?", {"base64": "%%%"}), 400, "invalid_request"),
    Case("integer beyond 64 bits", b'{"sql":"SELECT ?","params":[9223372036854775808]}', 400, "sql_error", "64 bits"),
    Case("unknown field", {"sql": "SELECT 1", "parms": []}, 400, "invalid_request", "parms"),
    Case("neither sql nor statements", {}, 400, "invalid_request"),
    Case("both sql and statements", {"sql": "SELECT 1", "statements": []}, 400, "invalid_request"),
    Case("no statements", {"statements": []}, 400, "invalid_request"),
    Case("too many statements", {"statements": [{"sql": "SELECT 1"}] * 1001}, 400, "invalid_request"),
    Case("more parameters than the limit", sql("SELECT 1", *range(1001)), 400, "invalid_request", "1000"),
    Case("a statement of 200 KB", sql("SELECT '" + "x" * 200_000 + "'"), 400, "invalid_request", "100000"),
    # the statement
    Case("no SQL", sql("not sql"), 400, "sql_error"),
    Case("missing table", sql("SELECT * FROM nothing"), 400, "sql_error", "nothing"),
    Case("too few parameters", sql("SELECT ?, ?", 1), 400, "sql_error"),
    Case("long LIKE pattern", sql("SELECT 'x' LIKE ?", "%x" * 1000), 400, "sql_error"),
    Case("duplicate key", sql("INSERT INTO kept VALUES (1, 'again')"), 409, "constraint_failed"),
    Case("ATTACH", sql("ATTACH 'other.db' AS other"), 403, "not_authorized"),
    Case("DETACH", sql("DETACH main"), 403, "not_authorized"),
    Case("journal mode", sql("PRAGMA journal_mode=WAL"), 403, "not_authorized"),
    Case("writable schema", sql("PRAGMA writable_schema=ON"), 403, "not_authorized"),
    Case("VACUUM INTO", sql("VACUUM INTO 'copy.db'"), 403, "not_authorized"),
    Case("extension loading", sql("SELECT load_extension('x.so')"), 403, "not_authorized"),
    Case("transaction by hand", sql("BEGIN"), 403, "not_authorized"),
    Case("system table made", sql("CREATE TABLE _cf_mine (x)"), 403, "not_authorized"),
    Case("system table reached by rename", sql("ALTER TABLE kept RENAME TO _cf_kept"), 403, "not_authorized"),
    Case("a statement without end", sql(COUNT.format("") + " WHERE x < 0"), 408, "statement_timeout"),
    Case(
        "a result of 2 GB",
        sql("SELECT randomblob(1000000) FROM (" + COUNT.format(" LIMIT 2000") + ")"),
        413,
        "result_too_large",
    ),
    Case("a result of a billion rows", sql(COUNT.format(" LIMIT 1000000000")), 413, "result_too_large"),
    Case("one value beyond the limit", sql("SELECT length(randomblob(1000000000))"), 400, "sql_error"),
    Case(
        "past the size limit",
        sql("INSERT INTO kept SELECT x + 9, zeroblob(100000) FROM (" + COUNT.format(" LIMIT 100") + ")"),
        507,
        "database_full",
    ),
    Case(
        "transaction ended inside",
        {"statements": [sql("INSERT INTO kept VALUES (2, 'x')"), sql("INSERT OR ROLLBACK INTO kept VALUES (1, 'x')")]},
        400,
        "transaction_ended",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_statement_is_a_typed_problem_and_changes_nothing(case: Case) -> None:
    @virtual
    async def run() -> None:
        async with local_gateway(ActorSettings(database=DATABASE), clock=TickingClock()) as gateway:
            await kept(gateway)
            response = await gateway.client.post("/v1/users/alice/sql", content=case.content)
            assert_problem(response, case.status, case.code, says=case.says)
            await assert_served(gateway)

    run()


async def kept(gateway: Local) -> None:
    """A row that was acknowledged."""
    made = await gateway.sql("alice", "CREATE TABLE kept (id INTEGER PRIMARY KEY, note)")
    assert made.status_code == 200, made.text
    assert (await gateway.sql("alice", "INSERT INTO kept VALUES (1, 'kept')")).status_code == 200


async def assert_served(gateway: Local) -> None:
    """Nothing of alice is lost or added, and others are served."""
    assert await gateway.rows("alice", "SELECT * FROM kept") == [[1, "kept"]]
    assert await gateway.rows("bob", "SELECT 1") == [[1]]


# ---- damage in the bucket: that user gets the error, others are served


async def damage_segment(gateway: Local, prefix: str) -> None:
    key = gateway.store.keys(f"{prefix}0000/")[-2]
    found = await gateway.store.inner.get(key)
    middle = len(found.body) // 2
    body = found.body[:middle] + bytes([found.body[middle] ^ 1]) + found.body[middle + 1 :]
    await gateway.store.inner.put(key, body, metadata=found.info.metadata)


async def cut_segment(gateway: Local, prefix: str) -> None:
    key = gateway.store.keys(f"{prefix}0000/")[-2]
    found = await gateway.store.inner.get(key)
    await gateway.store.inner.put(key, found.body[:100], metadata=found.info.metadata)


async def remove_slot(gateway: Local, prefix: str) -> None:
    await gateway.store.inner.delete(gateway.store.keys(f"{prefix}0000/")[-2])


async def write_newer_format(gateway: Local, prefix: str) -> None:
    key = gateway.store.keys(f"{prefix}0000/")[-2]
    found = await gateway.store.inner.get(key)
    metadata = {**found.info.metadata, "holdfast-format": "99"}
    await gateway.store.inner.put(key, found.body, metadata=metadata)


Damage = Callable[[Local, str], Coroutine[object, object, None]]
DAMAGES: list[tuple[Damage, str]] = [
    (damage_segment, "corrupt_segment"),
    (cut_segment, "corrupt_segment"),
    (remove_slot, "log_gap"),
    (write_newer_format, "unsupported_version"),
]


@pytest.mark.parametrize(("damage", "code"), DAMAGES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_damaged_log_is_that_users_error_alone_and_nothing_is_skipped(damage: Damage, code: str) -> None:
    @virtual
    async def run() -> None:
        async with local_gateway() as gateway:
            await kept(gateway)
            for number in range(3):
                await gateway.sql("alice", "INSERT INTO kept VALUES (?, ?)", number + 2, "x")
                await gateway.client.post("/v1/users/alice/flush")
            address = await gateway.address("alice")
            await gateway.router.evict(address)
            for key in gateway.store.keys(f"{log_prefix(ENV, address)}0009/"):
                await gateway.store.inner.delete(key)
            await damage(gateway, log_prefix(ENV, address))
            for _ in range(2):
                assert_problem(await gateway.sql("alice", "SELECT 1"), 500, code)
            assert await gateway.rows("bob", "SELECT 1") == [[1]]

    run()


def test_user_with_a_file_of_r2_mode_is_told_so() -> None:
    @virtual
    async def run() -> None:
        async with local_gateway() as gateway:
            address = await gateway.address("alice")
            with sqlite3.connect(":memory:") as made:
                made.execute("CREATE TABLE games (id)")
                body = made.serialize()
            await gateway.store.inner.put(database_key(ENV, address), body)
            response = await gateway.sql("alice", "SELECT 1")
            assert_problem(response, 409, "in_r2_mode")
            assert response.headers["holdfast-mode"] == "r2"
            assert (await gateway.store.inner.get(database_key(ENV, address))).body == body
            assert await gateway.rows("bob", "SELECT 1") == [[1]]

    run()


# ---- what is underneath fails for a while


@pytest.mark.parametrize("ownership", ["single_machine", "strict"])
def test_bucket_that_answers_500_for_a_minute_loses_nothing(ownership: OwnershipMode) -> None:
    """Acknowledged rows are all there afterwards; refused ones are not, unless the refusal said that nobody knows."""

    @virtual
    async def run() -> None:
        async with local_gateway(ActorSettings(ownership=ownership)) as gateway:
            await kept(gateway)
            await gateway.client.post("/v1/users/alice/flush")
            await gateway.rows("bob", "SELECT 1")
            acknowledged, unknown = {1}, set[int]()

            async def write(number: int) -> None:
                response = await gateway.sql("alice", "INSERT INTO kept VALUES (?, 'x')", number)
                if response.status_code == 200:
                    acknowledged.add(number)
                elif response.json()["code"] == "outcome_unknown":
                    assert_problem(response, 503, "outcome_unknown")
                    unknown.add(number)
                else:
                    assert response.json()["code"] in ("journal_full", "overloaded", "storage_unavailable")
                    assert_problem(response, 503, response.json()["code"], retryable=True)

            gateway.store.broken = "HTTP 500"
            async with asyncio.TaskGroup() as writers:
                for number in range(2, 62):
                    writers.create_task(write(number))
                    await asyncio.sleep(1)
                new = await gateway.sql("carol", "SELECT 1")
                assert_problem(new, 503, new.json()["code"], retryable=True)
                gateway.store.broken = None
            assert len(acknowledged) >= 10
            await asyncio.sleep(30)
            for _ in range(2):
                found = {row[0] for row in await gateway.rows("alice", "SELECT id FROM kept")}
                assert acknowledged <= found <= acknowledged | unknown
                assert (await gateway.client.post("/v1/users/alice/flush")).status_code == 200
                await gateway.router.evict(await gateway.address("alice"))
            assert await gateway.rows("carol", "SELECT 1") == [[1]]

    run()


def test_full_disk_under_the_journal_loses_nothing_that_was_acknowledged() -> None:
    """The bucket stands in for the journal; with both away a write is refused, and both coming back ends it."""

    @virtual
    async def run() -> None:
        async with local_gateway() as gateway:
            await kept(gateway)
            gateway.disk.full = True
            acknowledged = {1}
            for number in range(2, 6):
                response = await gateway.sql("alice", "INSERT INTO kept VALUES (?, 'x')", number)
                if response.status_code == 200:
                    acknowledged.add(number)
                else:
                    assert_problem(response, 503, response.json()["code"], retryable=response.json()["retryable"])
            gateway.store.broken = "HTTP 500"
            refused = await gateway.sql("alice", "INSERT INTO kept VALUES (9, 'x')")
            assert_problem(refused, 503, refused.json()["code"], retryable=refused.json()["retryable"])
            gateway.disk.full, gateway.store.broken = False, None
            await asyncio.sleep(60)
            found = {row[0] for row in await gateway.rows("alice", "SELECT id FROM kept")}
            assert acknowledged <= found <= acknowledged | set(range(2, 10))
            assert (await gateway.sql("alice", "INSERT INTO kept VALUES (10, 'y')")).status_code == 200
            assert await gateway.rows("bob", "SELECT 1") == [[1]]

    run()


def test_unavailable_store_at_first_access_is_retryable() -> None:
    @virtual
    async def run() -> None:
        async with local_gateway() as gateway:
            gateway.store.fail_next("get", "profiles.json", Unavailable("HTTP 503"))
            assert_problem(await gateway.sql("alice", "SELECT 1"), 503, "storage_unavailable", retryable=True)
            assert await gateway.rows("alice", "SELECT 1") == [[1]]

    run()


# ---- files


def a_file(path: Path, *statements: str) -> bytes:
    made = sqlite3.connect(path)
    for statement in statements:
        made.execute(statement)
    made.commit()
    made.close()
    return path.read_bytes()


FILES: list[tuple[str, Callable[[Path], bytes], str]] = [
    ("empty", lambda path: b"", "invalid_database"),
    ("no database", lambda path: b"hello" * 1000, "invalid_database"),
    (
        "cut short",
        lambda path: a_file(path, "CREATE TABLE t (x)", "INSERT INTO t VALUES (zeroblob(20000))")[:8192],
        "invalid_database",
    ),
    ("encrypted", lambda path: bytes(range(256)) * 64, "invalid_database"),
    ("reserved names", lambda path: a_file(path, "CREATE TABLE _cf_x (x)"), "invalid_database"),
    (
        "too large",
        lambda path: a_file(path, "CREATE TABLE t (x)", "INSERT INTO t VALUES (zeroblob(5000000))"),
        "invalid_database",
    ),
]


@pytest.mark.parametrize(("name", "make", "code"), FILES, ids=[name for name, _, _ in FILES])
def test_file_that_cannot_be_imported_is_refused_and_changes_nothing(
    name: str, make: Callable[[Path], bytes], code: str, tmp_path: Path
) -> None:
    content = make(tmp_path / "made.sqlite")

    @virtual
    async def run() -> None:
        async with local_gateway(ActorSettings(database=DATABASE)) as gateway:
            await kept(gateway)
            response = await gateway.client.put("/v1/users/alice/import?replace=true", content=content)
            assert_problem(response, 400, code)
            await assert_served(gateway)

    run()


def test_import_replaces_content_only_when_told_to_and_an_export_imports_again(tmp_path: Path) -> None:
    content = a_file(tmp_path / "made.sqlite", "CREATE TABLE t (x)", "INSERT INTO t VALUES (7)")

    @virtual
    async def run() -> None:
        async with local_gateway() as gateway:
            await kept(gateway)
            assert_problem(await gateway.client.put("/v1/users/alice/import", content=content), 409, "not_empty")
            assert await gateway.rows("alice", "SELECT note FROM kept") == [["kept"]]
            replaced = await gateway.client.put("/v1/users/alice/import?replace=true", content=content)
            assert replaced.status_code == 200, replaced.text
            exported = await gateway.client.get("/v1/users/alice/export")
            (tmp_path / "exported.sqlite").write_bytes(exported.content)
            with sqlite3.connect(tmp_path / "exported.sqlite") as found:
                assert found.execute("SELECT x FROM t").fetchall() == [(7,)]
                assert found.execute(
                    "SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_cf%' ESCAPE '\\'"
                ).fetchone() == (0,)
            found.close()
            again = await gateway.client.put("/v1/users/bob/import?replace=true", content=exported.content)
            assert again.status_code == 200, again.text
            assert await gateway.rows("bob", "SELECT x FROM t") == [[7]]

    run()


# ---- idempotency


def test_key_used_with_another_request_is_refused_and_the_same_request_runs_once() -> None:
    @virtual
    async def run() -> None:
        async with local_gateway() as gateway:
            await kept(gateway)
            first = await gateway.sql("alice", "INSERT INTO kept VALUES (2, 'x')", Idempotency_Key="k")
            again = await gateway.sql("alice", "INSERT INTO kept VALUES (2, 'x')", Idempotency_Key="k")
            assert again.json() == first.json()
            assert again.headers["idempotent-replay"] == "true"
            other = await gateway.sql("alice", "INSERT INTO kept VALUES (3, 'y')", Idempotency_Key="k")
            assert_problem(other, 422, "idempotency_key_reused")
            assert await gateway.rows("alice", "SELECT id FROM kept") == [[1], [2]]

    run()


def test_unbounded_result_streams_as_lines() -> None:
    @virtual
    async def run() -> None:
        async with local_gateway(ActorSettings(database=DATABASE)) as gateway:
            body = {"sql": COUNT.format(" LIMIT 150000")}
            response = await gateway.client.post("/v1/users/alice/sql?stream=true", json=body)
            assert response.status_code == 200, response.text
            assert response.headers["content-type"] == "application/x-ndjson"
            lines = response.text.splitlines()
            assert len(lines) >= 150_000
            assert all(json.loads(line) is not None for line in lines[:10])

    run()
