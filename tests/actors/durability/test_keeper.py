"""The parts together: acknowledgements, a full disk, releases, and every ending coming to its end (rules 7 and 8)."""

from __future__ import annotations

import asyncio

import pytest

from actors.call import Op
from actors.durability.journal import read_journal
from actors.durability.rules import Rules
from actors.errors import ActivationEnded, Moved, OutcomeUnknownWrite
from actors.settings import ActorSettings
from storage.errors import StoreRefused, Unavailable
from storage.log.actor_log import draft_slot
from storage.log.record import Kind
from tests.actors.kit import (
    Actor,
    FakeDisk,
    HeldStore,
    Process,
    VirtualClock,
    a_log,
    a_record,
    log_of,
    prepared,
    virtual,
)

JOURNAL = "journals/alice/main"


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


async def an_actor(
    store: HeldStore, disk: FakeDisk | None = None, rules: Rules | None = None, **settings: object
) -> Actor:
    made = ActorSettings(**settings)  # type: ignore[arg-type]
    return await prepared(Process(store, disk or FakeDisk(), settings=made, rules=rules))


# ---- no acknowledgement without durability


@virtual
@pytest.mark.parametrize(("level", "synced"), [("memory", False), ("local", True)])
async def test_rule_7c_a_reply_leaves_when_it_is_durable_at_its_level(level: str, synced: bool) -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    await actor.write("w", durability=level).reply()
    disk.restart()
    journal = read_journal(disk, JOURNAL)
    found = journal is not None and journal.view.last_commit == 3
    assert found is synced


@virtual
async def test_rule_7c_the_look_comes_after_the_sync() -> None:
    """Finding 15: the age is checked before a sync that takes longer than the ttl."""
    store, clock = a_store(), VirtualClock()
    disk = FakeDisk(clock=clock)
    actor = await an_actor(store, disk, flush_interval_s=60.0, flush_idle_s=60.0)
    store.sent.clear()
    disk.slow_s = 12.0
    store.hold("head")
    ask = actor.write("w")
    look = await store.next_held()
    assert disk.syncs and not ask.answered
    disk.slow_s = 0.0
    await look.complete()
    await ask.reply()
    assert [sent.name for sent in store.sent] == ["head"]


@virtual
async def test_finding_15_the_mutant_that_checks_before_the_sync_answers_without_a_look() -> None:
    store, clock = a_store(), VirtualClock()
    disk = FakeDisk(clock=clock)
    rules = Rules(checks_age_after_sync=False)
    actor = await an_actor(store, disk, rules, flush_interval_s=60.0, flush_idle_s=60.0)
    store.sent.clear()
    disk.slow_s = 12.0
    await actor.write("w").reply()
    assert store.sent == []


@virtual
async def test_a_read_waits_for_the_write_that_it_saw() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    disk.slow_s, disk.hold_threads = 1.0, True
    actor.process.parts.group_commit.meter.tell(1.0)
    write, read = actor.write("w"), actor.sql("SELECT note FROM notes")
    await asyncio.sleep(1.0)
    assert not write.answered and not read.answered
    disk.let_threads_go()
    assert (await write.reply()) and await read.rows() == [["w"]]


# ---- a full or broken disk under the journal


@virtual
@pytest.mark.parametrize("fault", ["full", "broken"])
async def test_with_a_full_disk_replies_leave_after_the_flush_instead(fault: str) -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    setattr(disk, fault, True)
    store.hold("put", "/0000/")
    ask = actor.write("no room")
    put = await store.next_held()
    assert not ask.answered, "neither journal nor bucket has it"
    await put.complete()
    await ask.reply()
    store.let_go()
    setattr(disk, fault, False)
    await actor.write("room again").reply()
    disk.restart()
    journal = read_journal(disk, JOURNAL)
    assert journal is not None and journal.view.last_commit == 4
    assert await actor.notes() == ["no room", "room again"]


@virtual
async def test_a_disk_that_stays_full_makes_every_write_wait_for_its_flush_and_loses_none() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    disk.full = True
    asks = [actor.write(str(number)) for number in range(20)]
    for ask in asks:
        await ask.reply()
        await asyncio.sleep(0.01)
    actor.process.kill()
    again = await Process(store, FakeDisk("m2")).activate()
    assert len(await again.notes()) == 20


@virtual
async def test_a_full_disk_and_no_bucket_acknowledge_nothing() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    disk.full, store.broken = True, "away"
    with pytest.raises(OutcomeUnknownWrite):
        await actor.write("nowhere").reply()


@virtual
async def test_a_crash_after_the_disk_failed_and_worked_again_finds_every_acknowledged_write() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    await actor.write("one").reply()
    disk.broken = True
    await actor.write("two").reply()
    disk.broken = False
    await actor.write("three").reply()
    actor.process.kill()
    disk.restart()
    assert await (await Process(store, disk, seed=1).activate()).notes() == ["one", "two", "three"]


# ---- rule 8


@virtual
async def test_rule_8_release_flushes_answers_closes_the_gate_then_writes_release() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    ask = actor.write("unflushed")
    releasing = asyncio.ensure_future(actor.release())
    await asyncio.sleep(0)
    late = actor.sql("SELECT 1")
    assert isinstance(late.error, ActivationEnded)
    await releasing
    await ask.reply()
    records = [entry.record for entry in await log_of(store)]
    assert [(record.kind, record.commits) for record in records[-2:]] == [(Kind.SEGMENT, (3, 3)), (Kind.RELEASE, None)]
    assert disk.locks == set() and not [name for name in disk.list(JOURNAL) if name.endswith(".journal")]
    assert await actor.activation.ended is None


@virtual
async def test_rule_8_nothing_is_answered_once_release_is_on_its_way() -> None:
    """Finding 9: whoever sees the RELEASE serves at once."""
    store = a_store()
    actor = await an_actor(store)
    store.hold("put", "/0000/")
    releasing = asyncio.ensure_future(actor.release())
    release = await store.next_held()
    await release.duplicate()
    assert isinstance(actor.sql("SELECT 1", durability="memory").error, ActivationEnded)
    assert not actor.keeper.ownership.fresh() and actor.keeper.gate.closed is not None
    await release.complete()
    await releasing


@virtual
@pytest.mark.parametrize("error", [StoreRefused("403"), Unavailable("503")])
async def test_rule_8_the_owner_exits_whatever_the_answer_to_its_release(error: Exception) -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    for _ in range(5):
        store.fail_next("put", "/0000/", error)
    await actor.release()
    assert disk.locks == set() and actor.activation.ended.done()


@virtual
async def test_rule_8_a_bucket_that_is_away_keeps_nobody_from_exiting() -> None:
    store, disk, clock = a_store(), FakeDisk(), VirtualClock()
    actor = await an_actor(store, disk)
    store.broken = "away"
    began = clock.now()
    await actor.release()
    assert clock.now() - began < 5.0 and disk.locks == set()


@virtual
async def test_rule_8_a_release_waits_for_no_client_whose_bookmark_will_never_come() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await an_actor(store)
    bookmark = str(actor.keeper.bookmark_of(actor.keeper.committed + 5))
    waiting = actor.ask(Op.DURABLE, bookmark=bookmark, timeout_s=60)
    began = clock.now()
    await actor.release()
    assert clock.now() - began < 1.0 and isinstance(waiting.error, ActivationEnded)


@virtual
async def test_rule_8_a_release_lets_replies_out_that_only_wait_for_a_look() -> None:
    store = a_store()
    actor = await an_actor(store)
    await VirtualClock().sleep(11.0)
    ask = actor.sql("SELECT note FROM notes")
    await actor.release()
    assert await ask.rows() == []


@virtual
async def test_a_release_while_somebody_claims_hands_over_and_ends() -> None:
    store = a_store()
    actor = await an_actor(store)
    log = a_log(store)
    log.store = store.inner
    slot = actor.keeper.ownership.next_slot
    segment = (await log_of(store))[-1].segment
    claim = type(segment)(slot, slot, segment.page_size, segment.page_count, (), 9, segment.timestamp_ms)
    await log.put(draft_slot(slot, a_record(Kind.CLAIM, 9, machine_id="m9"), claim))
    ask = actor.write("handed over")
    await actor.release()
    await ask.reply()
    assert isinstance(actor.activation.ended.result(), Moved)
    assert (await log_of(store))[-1].record.kind is Kind.HANDOVER


@virtual
async def test_a_release_that_is_called_off_can_still_be_killed() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    await actor.write("w").reply()
    store.broken = "away"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30.0):
            await actor.release()
    await actor.activation.kill()
    assert disk.locks == set() and actor.activation.ended.done()
    store.broken = None
    assert await (await Process(store, disk, seed=1).activate()).notes() == ["w"]


@virtual
@pytest.mark.parametrize("steps", range(12))
async def test_a_release_called_off_at_any_step_and_then_killed_comes_to_its_end(steps: int) -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    actor.write("w")
    releasing = asyncio.ensure_future(actor.release())
    for _ in range(steps):
        await asyncio.sleep(0)
    releasing.cancel()
    await asyncio.gather(releasing, return_exceptions=True)
    await actor.activation.kill()
    assert disk.locks == set() and actor.activation.ended.done()


@virtual
async def test_a_kill_keeps_the_journal_and_writes_nothing() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    await actor.write("journaled").reply()
    unanswered = actor.write("in flight")
    before = len(store.puts())
    await actor.activation.kill()
    assert isinstance(unanswered.error, OutcomeUnknownWrite)
    assert len(store.puts()) == before and disk.locks == set()
    found = await (await Process(store, disk, seed=1).activate()).notes()
    assert found[:1] == ["journaled"]


@virtual
async def test_an_ending_ends_even_if_the_disk_fails_under_it() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    await actor.write("w").reply()

    def broken(names: object) -> None:
        raise OSError(5, "input/output error")

    disk.delete = broken  # type: ignore[method-assign]
    await actor.release()
    assert disk.locks == set()


@virtual
async def test_an_orphan_on_a_full_disk_is_in_the_bucket_and_the_ending_ends() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk, flush_idle_s=4.0)
    await actor.write("cut off").reply()
    log = a_log(store)
    log.store = store.inner
    slot = actor.keeper.ownership.next_slot
    segment = (await log_of(store))[-1].segment
    opened = type(segment)(slot, slot, segment.page_size, segment.page_count, (), 9, segment.timestamp_ms)
    await log.put(draft_slot(slot, a_record(Kind.TAKE, 9, machine_id="m9", base=2), opened))
    disk.full = True
    assert isinstance(await actor.activation.ended, Moved)
    assert len(store.keys("orphans")) == 2 and disk.locks == set()


@virtual
async def test_a_disk_that_fails_while_an_orphan_is_put_away_does_not_keep_the_ending_from_its_end() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk, flush_idle_s=4.0)
    await actor.write("cut off").reply()
    log = a_log(store)
    log.store = store.inner
    slot = actor.keeper.ownership.next_slot
    segment = (await log_of(store))[-1].segment
    opened = type(segment)(slot, slot, segment.page_size, segment.page_count, (), 9, segment.timestamp_ms)
    await log.put(draft_slot(slot, a_record(Kind.TAKE, 9, machine_id="m9", base=2), opened))

    def broken(names: object) -> None:
        raise OSError(5, "input/output error")

    disk.delete = broken  # type: ignore[method-assign]
    assert isinstance(await actor.activation.ended, Moved)
    assert disk.locks == set()


@virtual
async def test_a_part_that_fails_unexpectedly_ends_the_activation_and_the_next_one_recovers() -> None:
    store, disk = a_store(), FakeDisk()
    actor = await an_actor(store, disk)
    await actor.write("one").reply()

    def mistake(*_: object) -> None:
        raise AssertionError("a mistake of ours")

    actor.keeper.flusher._journal.turn = mistake  # type: ignore[method-assign]
    ask = actor.write("two", durability="r2")
    with pytest.raises(OutcomeUnknownWrite):
        await ask.reply()
    assert isinstance(await actor.activation.ended, ActivationEnded)
    assert disk.locks == set()
    assert await (await Process(store, disk, seed=1).activate()).notes() == ["one", "two"]
