"""Whole activations over a store in memory: turns, threads, streams, endings, and two owners with one log."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from actors.activation import activate
from actors.call import Op
from actors.durability.offload import in_thread
from actors.errors import (
    ActivationEnded,
    ConstraintFailed,
    DatabaseBroken,
    Moved,
    NotEmpty,
    OutcomeUnknownWrite,
    SchemaFailed,
    SqlError,
    StatementTimeout,
)
from actors.model import birth
from actors.settings import ActorSettings, DatabaseSettings
from storage.errors import InvalidRequest, Unavailable
from storage.layout.address import Address
from storage.log.record import Kind
from tests.actors.kit import (
    ADDRESS,
    Actor,
    Ask,
    FakeDisk,
    HeldStore,
    Process,
    VirtualClock,
    log_of,
    prepared,
    sql_body,
    virtual,
)

BOB = Address("bob", "main")
LONG_SELECT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT count(*) FROM n"
LONG_INSERT = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
    "INSERT INTO notes SELECT 'long' FROM n WHERE i = 100000"
)
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
ENDLESS_INSERT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO notes SELECT i FROM n"
TICK_S = 1e-6
SHORT_BUDGET = ActorSettings(database=DatabaseSettings(inline_budget_s=20 * TICK_S, statement_deadline_s=1e9))


class HeldThreads:
    """An offload whose work runs when the test says."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []

    async def __call__(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiting.append((lambda: function(*args, **kwargs), future))
        return await future

    def run(self) -> None:
        work, future = self.waiting.pop(0)
        try:
            result = work()
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


async def an_actor(store: HeldStore, disk: FakeDisk | None = None, **options: Any) -> Actor:
    return await prepared(Process(store, disk or FakeDisk(), **options))


async def a_pass() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def chunks(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


# ---- turns


@virtual
async def test_a_new_actor_has_the_built_in_tables_and_serves() -> None:
    actor = await Process(a_store(), FakeDisk()).activate()
    tables = await actor.sql("SELECT name FROM sqlite_schema WHERE type = 'table'").rows()
    assert {"games", "raw_clips"} <= {name for [name] in tables}


@virtual
async def test_a_batch_is_one_transaction() -> None:
    actor = await an_actor(a_store())
    body = b'{"statements":[{"sql":"INSERT INTO notes VALUES (1)"},{"sql":"INSERT INTO nowhere VALUES (1)"}]}'
    with pytest.raises(SqlError):
        await actor.ask(Op.SQL, body).reply()
    assert await actor.notes() == []


@virtual
@pytest.mark.parametrize(
    ("args", "body"),
    [({"durability": "always"}, b'{"sql":"SELECT 1"}'), ({}, b"{"), ({"idempotency_key": ""}, b'{"sql":"SELECT 1"}')],
)
async def test_a_request_that_is_none_is_refused_and_the_actor_goes_on(args: dict[str, Any], body: bytes) -> None:
    actor = await an_actor(a_store())
    with pytest.raises(InvalidRequest):
        await actor.ask(Op.SQL, body, **args).reply()
    assert await actor.notes() == []


@virtual
async def test_a_failed_statement_is_told_only_when_what_it_saw_is_durable() -> None:
    """Rule 7c: "UNIQUE failed" says that the row is there."""
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    await actor.sql("CREATE UNIQUE INDEX once ON notes(note)").reply()
    disk.slow_s = 1.0
    actor.process.parts.group_commit.meter.tell(1.0)
    first, second = actor.write("x"), actor.write("x")
    await a_pass()
    assert not first.answered and not second.answered
    await first.reply()
    with pytest.raises(ConstraintFailed):
        await second.reply()


# ---- turns that outgrow their budget


@virtual
async def test_a_turn_beyond_its_budget_runs_in_a_thread_while_other_actors_answer() -> None:
    threads = HeldThreads()
    process = Process(a_store(), FakeDisk(), settings=SHORT_BUDGET, tick_s=TICK_S, offload=threads)
    actor, other = await prepared(process), await prepared(process, BOB)
    slow = actor.sql(LONG_SELECT)
    await a_pass()
    later = [actor.write("behind it"), actor.sql("SELECT note FROM notes")]
    assert len(threads.waiting) == 1 and actor.activation.busy
    assert await other.notes() == []
    assert actor.activation.committed_image() is None
    assert not any(ask.answered for ask in (slow, *later))
    threads.run()
    assert await slow.rows() == [[100_000]]
    assert await later[1].rows() == [["behind it"]]
    assert actor.activation.committed_image() is not None


@virtual
async def test_a_write_beyond_its_budget_happens_once() -> None:
    actor = await an_actor(a_store(), settings=SHORT_BUDGET, tick_s=TICK_S, offload=in_thread)
    await actor.sql(LONG_INSERT).reply()
    assert await actor.notes() == ["long"]


@virtual
async def test_a_statement_in_a_thread_that_fails_fails_its_call_alone() -> None:
    threads = HeldThreads()
    actor = await an_actor(a_store(), settings=SHORT_BUDGET, tick_s=TICK_S, offload=threads)
    ask = actor.sql(LONG_INSERT.replace("'long'", "abs(-9223372036854775808)"))
    await a_pass()
    later = actor.write("later")
    threads.run()
    with pytest.raises(SqlError):
        await ask.reply()
    await later.reply()
    assert await actor.notes() == ["later"]


@virtual
async def test_a_mistake_of_ours_in_a_thread_is_answered_and_blocks_nobody() -> None:
    async def broken(*_: object, **__: object) -> Any:
        raise ValueError("a mistake of ours")

    actor = await an_actor(a_store(), settings=SHORT_BUDGET, tick_s=TICK_S, offload=broken)
    ask = actor.sql(LONG_SELECT)
    await a_pass()
    assert ask.answered and ask.error is not None
    assert await actor.notes() == []


@virtual
async def test_a_statement_past_its_deadline_is_interrupted_in_its_thread() -> None:
    limits = DatabaseSettings(inline_budget_s=20 * TICK_S, statement_deadline_s=60 * TICK_S)
    settings = ActorSettings(database=limits)
    actor = await Process(a_store(), FakeDisk(), settings=settings, tick_s=TICK_S, offload=in_thread).activate()
    with pytest.raises(StatementTimeout):
        await actor.sql(ENDLESS).reply()
    assert await actor.sql("SELECT 1").rows() == [[1]]


class RunningThread:
    """An offload that runs in a real thread and says when it has begun."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.over = threading.Event()

    async def __call__(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        def run() -> Any:
            self.began.set()
            try:
                return function(*args, **kwargs)
            finally:
                self.over.set()

        return await asyncio.to_thread(run)

    async def running(self) -> None:
        await asyncio.to_thread(self.began.wait)


@virtual
@pytest.mark.parametrize("sql", [ENDLESS, ENDLESS_INSERT])
async def test_a_kill_ends_a_statement_that_runs_in_a_thread(sql: str) -> None:
    thread = RunningThread()
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk, settings=SHORT_BUDGET, tick_s=TICK_S, offload=thread)
    ask = actor.sql(sql)
    await thread.running()
    waiting = actor.write("waits behind it")
    await actor.activation.kill()
    assert thread.over.is_set() and disk.locks == set()
    assert ask.answered and waiting.answered
    again = await Process(store, disk, seed=1).activate()
    assert await again.notes() in ([], ["waits behind it"])


@virtual
async def test_a_kill_closes_no_database_under_a_statement_that_does_not_end() -> None:
    threads = HeldThreads()
    disk = FakeDisk()
    actor = await an_actor(a_store(), disk, settings=SHORT_BUDGET, tick_s=TICK_S, offload=threads)
    ask = actor.sql(LONG_SELECT)
    await a_pass()
    _, running = threads.waiting[0]
    await actor.activation.kill()
    assert ask.answered and disk.locks == set()
    threads.run()
    assert running.exception() is None, "the connection was open while it ran"
    await a_pass()
    with pytest.raises(DatabaseBroken, match="closed"):
        actor.activation._database.system(lambda system: system.execute("SELECT 1"))


@virtual
async def test_an_owner_that_is_fenced_while_a_thread_runs_ends_in_order() -> None:
    thread = RunningThread()
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk, settings=SHORT_BUDGET, tick_s=TICK_S, offload=thread)
    ask = actor.sql(ENDLESS_INSERT)
    await thread.running()
    actor.keeper._on_fenced()
    await actor.activation.ended
    await asyncio.to_thread(thread.over.wait)
    await a_pass()
    assert isinstance(ask.error, (OutcomeUnknownWrite, ActivationEnded, Moved))
    assert await (await Process(store, FakeDisk("m2"), seed=1).activate()).notes() == []


@virtual
async def test_a_broken_database_ends_the_activation_and_the_next_one_recovers() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    await actor.write("kept").reply()
    actor.activation._database._broken = "a page could not be read"
    with pytest.raises(DatabaseBroken):
        await actor.notes()
    assert isinstance(await actor.activation.ended, DatabaseBroken)
    assert await (await Process(store, disk, seed=1).activate()).notes() == ["kept"]


# ---- idempotency keys


@virtual
async def test_a_key_replays_its_answer_also_from_the_next_owner() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    first = await actor.write("once", idempotency_key="k").reply()
    again = await actor.write("once", idempotency_key="k").reply()
    assert again.body == first.body
    assert (first.headers.get("Idempotent-Replay"), again.headers.get("Idempotent-Replay")) == (None, "true")
    actor.process.kill()
    after = await Process(store, disk, seed=1).activate()
    assert (await after.write("once", idempotency_key="k").reply()).body == first.body
    assert await after.notes() == ["once"]


@virtual
async def test_a_replayed_answer_waits_until_the_write_it_tells_of_is_durable() -> None:
    disk = FakeDisk()
    actor = await an_actor(a_store(), disk)
    disk.slow_s = 1.0
    actor.process.parts.group_commit.meter.tell(1.0)
    first, replay = actor.write("w", idempotency_key="k"), actor.write("w", idempotency_key="k")
    await a_pass()
    assert not first.answered and not replay.answered
    assert (await replay.reply()).body == (await first.reply()).body


# ---- files and streams


@virtual
async def test_an_export_imports_again_elsewhere() -> None:
    store = a_store()
    alice = await an_actor(store)
    await alice.write("moved house").reply()
    file = await alice.ask(Op.EXPORT).bytes()
    assert file.startswith(b"SQLite format 3")
    bob = await Process(store, FakeDisk("m2")).activate(BOB)
    answer = await bob.ask(Op.IMPORT, stream=chunks(file)).json()
    assert answer["imported"] is True and await bob.notes() == ["moved house"]


@virtual
async def test_an_import_is_acknowledged_like_any_write_and_survives() -> None:
    store, machine = a_store(), FakeDisk()
    alice = await an_actor(store)
    await alice.write("moved house").reply()
    file = await alice.ask(Op.EXPORT).bytes()
    bob = await Process(store, machine).activate(BOB)
    await bob.ask(Op.IMPORT, stream=chunks(file)).reply()
    await bob.write("and more").reply()
    bob.process.kill()
    assert await (await Process(store, machine, seed=1).activate(BOB)).notes() == ["moved house", "and more"]


@virtual
async def test_an_import_over_data_must_say_so() -> None:
    actor = await an_actor(a_store())
    await actor.write("precious").reply()
    file = await actor.ask(Op.EXPORT).bytes()
    with pytest.raises(NotEmpty):
        await actor.ask(Op.IMPORT, stream=chunks(file)).reply()
    await actor.write("newer").reply()
    await actor.ask(Op.IMPORT, stream=chunks(file), replace=True).reply()
    assert await actor.notes() == ["precious"]


@virtual
async def test_calls_wait_while_a_file_comes_in_and_a_broken_upload_changes_nothing() -> None:
    actor = await an_actor(a_store())
    go_on = asyncio.Event()

    async def cut_short() -> AsyncIterator[bytes]:
        yield b"SQLite format 3\0"
        await go_on.wait()
        raise Unavailable("the client has gone")

    importing = actor.ask(Op.IMPORT, stream=cut_short())
    await a_pass()
    waiting = actor.write("waits")
    await a_pass()
    assert not waiting.answered
    go_on.set()
    with pytest.raises(Unavailable):
        await importing.reply()
    await waiting.reply()
    assert await actor.notes() == ["waits"]


@virtual
async def test_an_import_whose_owner_was_fenced_meanwhile_did_not_run() -> None:
    actor = await an_actor(a_store())
    file = await actor.ask(Op.EXPORT).bytes()
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield file
        await go_on.wait()

    importing = actor.ask(Op.IMPORT, stream=slow())
    await a_pass()
    actor.keeper._on_fenced()
    await actor.activation.ended
    go_on.set()
    with pytest.raises(ActivationEnded):
        await importing.reply()


@virtual
async def test_a_stream_reads_one_moment_while_writes_go_on() -> None:
    actor = await an_actor(a_store())
    await actor.write("before").reply()
    reply = await actor.ask(Op.SQL_STREAM, sql_body("SELECT note FROM notes")).reply()
    await actor.write("after").reply()
    assert reply.stream is not None and actor.activation.busy
    lines = b"".join([chunk async for chunk in reply.stream]).splitlines()
    assert lines == [b'{"columns":["note"]}', b'["before"]', b'{"rows":1}'] and not actor.activation.busy


@virtual
async def test_a_stream_that_nobody_reads_counts_as_over_when_it_is_closed() -> None:
    actor = await an_actor(a_store())
    for op, body in ((Op.SQL_STREAM, sql_body("SELECT note FROM notes")), (Op.EXPORT, b"")):
        reply = await actor.ask(op, body).reply()
        assert actor.activation.busy and reply.stream is not None
        await reply.stream.aclose()  # type: ignore[attr-defined]
        assert not actor.activation.busy


@virtual
@pytest.mark.parametrize("steps", range(5))
async def test_a_kill_answers_streams_that_had_not_begun(steps: int) -> None:
    actor = await an_actor(a_store())
    ask = actor.ask(Op.SQL_STREAM, sql_body("SELECT note FROM notes"))
    for _ in range(steps):
        await asyncio.sleep(0)
    await actor.activation.kill()
    assert ask.answered


@virtual
async def test_a_stream_of_what_is_not_durable_yet_waits() -> None:
    disk = FakeDisk()
    actor = await an_actor(a_store(), disk)
    disk.slow_s = 1.0
    actor.process.parts.group_commit.meter.tell(1.0)
    actor.write("w")
    ask = actor.ask(Op.EXPORT)
    await a_pass()
    assert not ask.answered
    await ask.bytes()


# ---- endings


@virtual
async def test_release_runs_what_waits_behind_a_thread_and_then_ends() -> None:
    threads = HeldThreads()
    store = a_store()
    actor = await an_actor(store, settings=SHORT_BUDGET, tick_s=TICK_S, offload=threads)
    slow = actor.sql(LONG_INSERT)
    await a_pass()
    queued = actor.write("queued")
    releasing = asyncio.ensure_future(actor.release())
    await a_pass()
    assert not releasing.done()
    threads.run()
    await releasing
    await slow.reply()
    await queued.reply()
    assert await (await Process(store, FakeDisk("m2")).activate()).notes() == ["long", "queued"]


@virtual
async def test_the_release_call_answers_when_all_is_done() -> None:
    store = a_store()
    actor = await an_actor(store)
    assert await actor.ask(Op.RELEASE).json() == {"released": True}
    assert (await log_of(store))[-1].record.kind is Kind.RELEASE and actor.activation.ended.done()


@virtual
async def test_a_kill_answers_a_release_call_that_waits() -> None:
    store = a_store()
    actor = await an_actor(store)
    actor.write("w")
    store.broken = "away"
    ask = actor.ask(Op.RELEASE)
    await a_pass()
    await actor.activation.kill()
    await a_pass()
    assert ask.answered


@virtual
async def test_an_ended_actor_refuses_with_an_error_to_try_again() -> None:
    actor = await an_actor(a_store())
    await actor.release()
    error = actor.sql("SELECT 1").error
    assert isinstance(error, ActivationEnded) and error.retryable and error.retry_after_s


@virtual
async def test_every_call_is_answered_exactly_once_whenever_the_kill_comes() -> None:
    """`Ask` fails over a second answer."""
    for steps in range(0, 40, 3):
        actor = await an_actor(a_store(), settings=SHORT_BUDGET, tick_s=TICK_S)
        asks: list[Ask] = [
            actor.write("a"),
            actor.sql(LONG_SELECT),
            actor.write("b", durability="r2"),
            actor.ask(Op.EXPORT),
            actor.ask(Op.FLUSH),
            actor.ask(Op.STATUS),
            actor.ask(Op.DURABLE, bookmark=str(actor.keeper.bookmark), timeout_s=5),
            actor.ask(Op.SQL_STREAM, sql_body("SELECT 1")),
        ]
        for _ in range(steps):
            await asyncio.sleep(0)
        await actor.activation.kill()
        await a_pass()
        assert all(ask.answered for ask in asks), steps


# ---- schema


@virtual
async def test_a_schema_that_fails_for_one_user_leaves_no_lock_and_others_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, disk = a_store(), FakeDisk()
    process = Process(store, disk)
    await (await prepared(process)).release()
    real = birth.apply_schema

    def failing(database: Any, *, now: float) -> int:
        if database.system(lambda sql: sql.execute("SELECT 1 FROM sqlite_schema WHERE name = 'notes'")):
            raise SchemaFailed("migration 0002_more: no such column")
        return real(database, now=now)

    monkeypatch.setattr("actors.activation.apply_schema", failing)
    with pytest.raises(SchemaFailed):
        await activate(ADDRESS, process.parts)
    assert disk.locks == set()
    assert await (await process.activate(BOB)).sql("SELECT 1").rows() == [[1]]


@virtual
async def test_a_mistake_of_ours_in_a_migration_frees_the_lock_too(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FakeDisk()

    def broken(*_: object, **__: object) -> int:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr("actors.activation.apply_schema", broken)
    with pytest.raises(ValueError, match="a mistake of ours"):
        await Process(a_store(), disk).activate()
    assert disk.locks == set()


# ---- two machines, one log


@virtual
async def test_a_move_to_another_machine_loses_nothing_that_was_acknowledged() -> None:
    """The owner lives, and is not told: it meets the claim, hands over, and the new owner serves within seconds."""
    store, clock = a_store(), VirtualClock()
    quiet = ActorSettings(flush_idle_s=3.0)
    old = await an_actor(store, FakeDisk("m1"), settings=quiet)
    acknowledged = []
    for number in range(5):
        await old.write(str(number)).reply()
        acknowledged.append(str(number))
    claiming = asyncio.ensure_future(Process(store, FakeDisk("m2")).activate())
    while not old.activation.ended.done():
        ask = old.write(f"late {len(acknowledged)}")
        await clock.sleep(0.3)
        if ask.answered and ask.error is None:
            acknowledged.append(f"late {len(acknowledged)}")
    new = await claiming
    found = await new.notes()
    assert set(acknowledged) <= set(found) and not store.keys("orphans")
    assert [entry.record.kind for entry in await log_of(store)][-3:] == [Kind.CLAIM, Kind.HANDOVER, Kind.OPEN]


@virtual
async def test_a_cut_off_owner_answers_nothing_after_its_ttl_and_the_new_one_serves() -> None:
    store, clock = a_store(), VirtualClock()
    old = await an_actor(store, FakeDisk("m1"))
    gone = old.process.parts.store

    async def unreachable(*_: object, **__: object) -> Any:
        raise Unavailable("cut off")

    for name in ("get", "head", "put", "list"):
        setattr(gone, name, unreachable)
    new = await Process(store, FakeDisk("m2")).activate()
    await new.write("of the new owner", durability="r2").reply()
    stale = [old.sql("SELECT note FROM notes"), old.write("never")]
    await clock.sleep(40.0)
    assert all(ask.error is not None for ask in stale)
    assert await new.notes() == ["of the new owner"]


@virtual
async def test_a_crash_on_the_same_machine_loses_nothing_and_waits_for_nobody() -> None:
    store, clock, machine = a_store(), VirtualClock(), FakeDisk("m1")
    acknowledged: list[str] = []
    for life in range(6):
        process = Process(store, machine, seed=life)
        actor = await (process.activate() if life else prepared(process))
        assert await actor.notes() == acknowledged
        began = clock.now()
        for number in range(3):
            await actor.write(f"{life} {number}").reply()
            acknowledged.append(f"{life} {number}")
        if life % 2:
            await actor.flush()
        assert clock.now() - began < 1.0
        process.kill()
        machine.restart()
    assert not store.keys("orphans")


@virtual
async def test_a_bookmark_that_a_takeover_cut_off_is_told_so_and_kept_ones_are_not() -> None:
    store = a_store()
    process = Process(store, FakeDisk("m1"))
    old = await prepared(process)
    kept = (await old.write("kept", durability="r2").json())["bookmark"]
    lost = (await old.write("lost").json())["bookmark"]
    process.kill()
    new = await Process(store, FakeDisk("m2")).activate()
    for _ in range(3):
        await new.write("another's").reply()
    assert (await new.ask(Op.DURABLE, bookmark=kept).json())["durable"] is True
    ask = new.ask(Op.DURABLE, bookmark=lost)
    await a_pass()
    assert getattr(ask.error, "code", None) == "write_lost"
