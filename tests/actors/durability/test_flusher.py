"""Flushes: one frozen PUT in flight, when they happen, outages and recovery (rules 1, 7a to 7d, 20)."""

from __future__ import annotations

import asyncio
import logging

import pytest

from actors.call import Op
from actors.errors import JournalFull, OutcomeUnknownWrite
from actors.settings import ActorSettings, DatabaseSettings
from storage.errors import OutcomeUnknown, StoreRefused, Unavailable
from storage.log.record import Kind
from tests.actors.kit import Actor, FakeDisk, HeldStore, Process, VirtualClock, labels, log_of, prepared, virtual

SLOTS = "/0000/"
BIG = "x" * 3000


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


async def an_actor(store: HeldStore, disk: FakeDisk | None = None, **settings: object) -> Actor:
    return await prepared(Process(store, disk or FakeDisk(), settings=ActorSettings(**settings)))  # type: ignore[arg-type]


async def segments(store: HeldStore) -> list[tuple[int, int]]:
    """Commits of every SEGMENT behind the table's."""
    found = [entry.record for entry in await log_of(store) if entry.record.kind is Kind.SEGMENT]
    return [record.commits for record in found if record.commits][1:]


# ---- rule 1


@virtual
async def test_rule_1_one_put_is_in_flight_and_later_commits_wait_for_the_next_slot() -> None:
    store = a_store()
    actor = await an_actor(store)
    store.hold("put", SLOTS)
    one = actor.write("one", durability="r2")
    put = await store.next_held()
    two = actor.write("two", durability="r2")
    await VirtualClock().sleep(10.0)
    assert store.holds == 0 and len(store.puts("0000000000000004")) == 1
    await put.complete()
    await one.reply()
    assert not two.answered
    await (await store.next_held()).complete()
    await two.reply()
    assert await segments(store) == [(3, 3), (4, 4)]
    store.finish()


@virtual
async def test_rule_1_slot_body_and_put_id_are_frozen_at_the_first_send() -> None:
    """Finding 12: a retry that carries more under the same put-id would acknowledge what never landed."""
    store = a_store()
    actor = await an_actor(store)
    store.hold("put", SLOTS)
    one = actor.write("one", durability="r2")
    put = await store.next_held()
    two = actor.write("two", durability="r2")
    await put.lose_answer()
    again = await store.next_held()
    await again.complete()
    await one.reply()
    assert not two.answered, "the second write was not in the first body"
    sends = store.puts("0000000000000004")
    assert len(sends) == 2 and len({(sent.body, sent.metadata) for sent in sends}) == 1
    await (await store.next_held()).complete()
    await two.reply()


@virtual
@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), Unavailable("429"), StoreRefused("403")])
async def test_rule_1_without_an_answer_nothing_is_acknowledged_and_no_later_slot_is_tried(error: Exception) -> None:
    store = a_store()
    actor = await an_actor(store)
    store.hold("put", SLOTS)
    ask = actor.write("w", durability="r2")
    for _ in range(5):
        (await store.next_held()).fail(error)
        assert not ask.answered
    await (await store.next_held()).complete()
    await ask.reply()
    assert {sent.key for sent in store.puts(SLOTS)[-6:]} == {store.keys(SLOTS)[-1]}


@virtual
async def test_rule_1_412_and_our_own_put_id_is_settled() -> None:
    store = a_store()
    actor = await an_actor(store)
    store.hold("put", SLOTS)
    ask = actor.write("w", durability="r2")
    put = await store.next_held()
    store.let_go()
    await put.lose_answer()
    await ask.reply()
    assert await segments(store) == [(3, 3)]


@virtual
async def test_rule_1_a_copy_that_the_network_delivers_later_changes_nothing() -> None:
    store = a_store()
    actor = await an_actor(store)
    store.hold("put", SLOTS)
    ask = actor.write("one", durability="r2")
    put = await store.next_held()
    store.let_go()
    await put.complete()
    await ask.reply()
    await actor.write("two", durability="r2").reply()
    before = [entry.record for entry in await log_of(store)]
    await put.duplicate()
    assert [entry.record for entry in await log_of(store)] == before
    assert await actor.notes() == ["one", "two"]


@virtual
async def test_every_store_call_may_fail_once_and_every_write_still_arrives() -> None:
    """Fail the Nth call for N = 1, 2, 3 … until a run is untouched."""
    for nth in range(1, 60):
        store = a_store()
        actor = await an_actor(store)
        seen = len(store.sent)
        inner, calls = store._pass, 0

        async def failing(sent: object, run: object, inner: object = inner, nth: int = nth) -> object:
            nonlocal calls
            calls += 1
            if calls == nth:
                assert callable(run)
                if getattr(sent, "name", "") == "put":
                    await run()
                    raise OutcomeUnknown("answer lost")
                raise Unavailable("500")
            assert callable(inner)
            return await inner(sent, run)

        store._pass = failing  # type: ignore[method-assign]
        await actor.write("one", durability="r2").reply()
        await VirtualClock().sleep(12.0)
        await actor.write("two").reply()
        assert await actor.notes() == ["one", "two"]
        await actor.release()
        assert (await log_of(store))[-1].record.kind is Kind.RELEASE
        if calls < nth:
            assert len(store.sent) > seen
            return
    pytest.fail("60 calls for two writes")


# ---- rule 7a


@virtual
async def test_rule_7a_a_put_confirms_as_of_its_first_send_never_a_retrys() -> None:
    """Finding 11: the write landed, its answer was lost, somebody claimed behind it, the retry finds its own put-id."""
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    store.hold("put", SLOTS)
    ask = actor.write("w", durability="r2")
    put = await store.next_held()
    first_sent_at = clock.now()
    await clock.sleep(12.0)
    store.let_go()
    await put.lose_answer()
    await ask.reply()
    assert actor.keeper.ownership.confirmed_at <= first_sent_at


@virtual
async def test_rule_7a_the_first_send_counts_even_when_the_store_refused_us_in_between() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    store.hold("put", SLOTS)
    ask = actor.write("w", durability="r2")
    first_sent_at = clock.now()
    await (await store.next_held()).lose_answer()
    (await store.next_held()).fail(StoreRefused("the keys were rotated"))
    await clock.sleep(12.0)
    await (await store.next_held()).complete()
    await ask.reply()
    assert actor.keeper.ownership.confirmed_at <= first_sent_at + 1.0


@virtual
async def test_rule_7c_a_resend_that_lands_an_hour_later_counts_only_after_a_list() -> None:
    """A suspended owner's resend lands in a slot that others used and deleted meanwhile: it owns nothing any more."""
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    store.hold("put", SLOTS)
    ask = actor.write("w", durability="r2")
    (await store.next_held()).fail()
    again = await store.next_held()
    clock.skip(48 * 3600.0)
    snapshots = "dev/users/alice/profiles/main/log/0009/0000000000000001-00000000000000ff.ltx"
    await store.inner.put(snapshots, b"x")
    store.let_go()
    await again.complete()
    with pytest.raises(OutcomeUnknownWrite):
        await ask.reply()
    await actor.activation.ended


# ---- when


@virtual
async def test_commits_leave_together_on_idle() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    for note in ("one", "two", "three"):
        await actor.write(note).reply()
    await clock.sleep(0.9)
    assert await segments(store) == []
    await clock.sleep(0.3)
    assert await segments(store) == [(3, 5)]


@virtual
async def test_a_busy_actor_flushes_on_the_interval() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    for number in range(12):
        await actor.write(str(number)).reply()
        await clock.sleep(0.5)
    assert await segments(store) == [(3, 12)]


@virtual
async def test_bytes_are_flushed_at_once() -> None:
    store = a_store()
    actor = await an_actor(store, flush_bytes_max=20_000, flush_idle_s=60.0, flush_interval_s=60.0)
    for _ in range(10):
        await actor.write(BIG).reply()
    await VirtualClock().sleep(0.1)
    assert len(await segments(store)) >= 1


@virtual
async def test_an_r2_write_and_a_flush_request_leave_at_once_and_share_what_waits() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    began = clock.now()
    await actor.write("one").reply()
    await actor.write("two", durability="r2").reply()
    await actor.write("three").reply()
    await actor.flush()
    assert clock.now() - began < 0.1 and await segments(store) == [(3, 4), (5, 5)]


@virtual
async def test_rule_7b_numbers_run_on_across_epochs() -> None:
    store = a_store()
    for number, machine in enumerate(("m1", "m2", "m1")):
        process = Process(store, FakeDisk(machine), seed=number)
        actor = await (prepared(process) if number == 0 else process.activate())
        await actor.write(machine, durability="r2").reply()
        await actor.release()
    assert await segments(store) == [(3, 3), (4, 4), (5, 5)]


@virtual
async def test_rule_7b_a_flush_may_run_ahead_of_the_journal() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    disk.syncs = 0
    actor.write("memory only", durability="memory")
    await actor.flush()
    assert disk.syncs == 0 and await segments(store) == [(3, 3)]


# ---- outages


@virtual
async def test_an_outage_of_a_minute_ends_by_itself() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    store.broken = "the bucket is away"
    await actor.write("before the ttl is over").reply()
    await clock.sleep(60.0)
    store.broken = None
    await clock.sleep(10.0)
    assert await actor.notes() == ["before the ttl is over"]
    await actor.write("afterwards", durability="r2").reply()
    assert await segments(store) == [(3, 3), (4, 4)]


@virtual
async def test_an_outage_is_said_once_when_it_begins_and_ends_and_shown_while_it_lasts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="actors.durability.flusher")
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store, ownership="single_machine")
    assert (await actor.ask(Op.STATUS).json())["log"]["failure"] is None
    store.broken = "the bucket is away"
    await actor.write("meanwhile").reply()
    await clock.sleep(60.0)
    assert "the bucket is away" in (await actor.ask(Op.STATUS).json())["log"]["failure"]
    store.broken = None
    await clock.sleep(20.0)
    assert (await actor.ask(Op.STATUS).json())["log"]["failure"] is None
    assert [record.message for record in caplog.records] == ["flush waits", "flush goes on"]


@virtual
async def test_rule_7d_during_an_outage_local_writes_are_held_then_refused_and_none_is_acknowledged() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    store.broken = "the bucket is away"
    await actor.write("acknowledged").reply()
    await clock.sleep(14.0)
    held = actor.write("held")
    await clock.sleep(2.0)
    with pytest.raises(Unavailable) as refused:
        await actor.write("refused").reply()
    assert not isinstance(refused.value, OutcomeUnknown) and refused.value.retry_after_s
    with pytest.raises(OutcomeUnknownWrite):
        await held.reply()
    store.broken = None
    await clock.sleep(10.0)
    assert await actor.notes() == ["acknowledged", "held"]


@virtual
async def test_in_strict_mode_reads_wait_too_while_the_bucket_is_away_longer_than_the_ttl() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    await clock.sleep(5.0)
    store.broken = "the bucket is away"
    await clock.sleep(6.0)
    patient = actor.sql("SELECT 1")
    await clock.sleep(10.0)
    assert not patient.answered
    store.broken = None
    await patient.reply()
    store.broken = "again"
    await clock.sleep(11.0)
    began = clock.now()
    with pytest.raises(Unavailable):
        await actor.sql("SELECT 1").reply()
    assert 15.0 <= clock.now() - began <= 17.0


@virtual
async def test_rule_20_on_a_single_machine_replies_go_on_while_the_bucket_is_away() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store, ownership="single_machine")
    store.broken = "the bucket is away"
    for number in range(40):
        await actor.write(str(number)).reply()
        await clock.sleep(5.0)
    assert len(await actor.notes()) == 40
    store.broken = None
    await clock.sleep(10.0)
    assert (await segments(store))[-1][1] == 42


@virtual
async def test_back_pressure_when_the_journal_reaches_its_bound_and_reads_go_on() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(
        store, ownership="single_machine", journal_bytes_max=40_000, database=DatabaseSettings(page_size=1024)
    )
    store.broken = "the bucket is away"
    accepted = 0
    with pytest.raises(JournalFull) as full:
        for _ in range(200):
            await actor.write(BIG).reply()
            accepted += 1
    assert full.value.retry_after_s and full.value.retryable and 0 < accepted < 20
    assert len(await actor.notes()) == accepted
    store.broken = None
    await clock.sleep(10.0)
    await actor.write("again").reply()
    assert len(await actor.notes()) == accepted + 1


@virtual
async def test_a_refused_write_leaves_nothing_in_the_database() -> None:
    store = a_store()
    actor = await an_actor(store, ownership="single_machine", journal_bytes_max=1)
    store.broken = "the bucket is away"
    await actor.write("fits").reply()
    for _ in range(3):
        with pytest.raises(JournalFull):
            await actor.write("does not").reply()
    assert await actor.notes() == ["fits"]


@virtual
async def test_flushes_are_counted_and_weighed() -> None:
    store = a_store()
    actor = await an_actor(store)
    before = (await actor.status())["log"]
    await actor.write("w", durability="r2").reply()
    after = (await actor.status())["log"]
    body = (await store.inner.get(store.keys(SLOTS)[-1])).body
    assert after["flushes"] == before["flushes"] + 1
    assert after["bytes_shipped"] - before["bytes_shipped"] == len(body)
    assert after["flush_lag_s"] == 0.0


@virtual
async def test_a_large_flush_is_encoded_off_the_loop() -> None:
    store = a_store()
    ran: list[str] = []

    async def offload(function: object, /, *args: object, **kwargs: object) -> object:
        ran.append(getattr(function, "__name__", ""))
        assert callable(function)
        return function(*args, **kwargs)

    actor = await prepared(Process(store, FakeDisk(), offload=offload))  # type: ignore[arg-type]
    await actor.write("small", durability="r2").reply()
    assert "draft_slot" not in ran
    await actor.write("x" * 400_000, durability="r2").reply()
    assert "draft_slot" in ran


@virtual
async def test_a_segment_says_whose_it_is() -> None:
    store = a_store()
    actor = await an_actor(store)
    await actor.write("w", durability="r2").reply()
    said = labels(dict(store.puts(SLOTS)[-1].metadata))
    assert (said["kind"], said["epoch"], said["gen"], said["commits"]) == ("segment", "2", "1", "3-3")
    assert said["claim-id"] == actor.keeper.ownership.claim_id
    ask = actor.ask(Op.STATUS)
    assert (await ask.json())["epoch"] == 2
    await asyncio.sleep(0)
