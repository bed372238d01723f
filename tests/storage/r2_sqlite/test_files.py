"""Rule 14: load, run, save if changed, conditional on the version; lost answers, lost races, states of the file."""

from __future__ import annotations

import asyncio
import logging
import random

import pytest

from storage.errors import CorruptObject, OutcomeUnknown, StoreRefused, Unavailable
from storage.layout.address import Address
from storage.objects.settle import PUT_ID_KEY
from storage.r2_sqlite.errors import (
    ChangingModes,
    FileMissing,
    FileMoved,
    FileTooLarge,
    LostRace,
    SaveUnknown,
    TooManyWaiting,
)
from storage.r2_sqlite.file_state import RING_LENGTH_MAX, Mode, state_from_metadata
from storage.r2_sqlite.transition import Event
from tests.actors.virtual_time import VirtualClock, virtual
from tests.storage.r2_sqlite.bucket import ADDRESS, KEY, Bucket, HeldFiles, a_body, a_gateway, add, words


@virtual
async def test_a_read_loads_once_and_saves_nothing() -> None:
    bucket = await Bucket.holding("a")
    assert await a_gateway(bucket.store).execute(ADDRESS, words) == ["a"]
    assert [sent.name for sent in bucket.store.sent] == ["get"]


@virtual
async def test_a_write_loads_once_and_saves_once() -> None:
    bucket = await Bucket.holding("a")
    assert await a_gateway(bucket.store).execute(ADDRESS, add("b")) == ["a", "b"]
    assert [sent.name for sent in bucket.store.sent] == ["get", "put"]
    assert await bucket.words() == ["a", "b"]


@virtual
async def test_a_save_keeps_the_state_and_says_it_in_body_and_metadata() -> None:
    bucket = await Bucket.holding("a")
    await a_gateway(bucket.store).execute(ADDRESS, add("b"))
    info, state = await bucket.store.inner.head(KEY), await bucket.state()
    repeated = state_from_metadata(info.metadata)
    assert repeated is not None
    assert (repeated.state, repeated.gen, repeated.nonce) == (Mode.OPEN, 0, state.nonce)
    assert state.ring == (info.metadata[PUT_ID_KEY],)


@virtual
async def test_a_run_that_fails_saves_nothing() -> None:
    def fail(body: bytes) -> tuple[None, bytes | None]:
        raise CorruptObject("no")

    bucket = await Bucket.holding("a")
    with pytest.raises(CorruptObject):
        await a_gateway(bucket.store).execute(ADDRESS, fail)
    assert bucket.store.puts() == []


@virtual
async def test_a_missing_file_is_begun_only_when_told_and_never_over_another() -> None:
    store = HeldFiles(VirtualClock())
    one, other = a_gateway(store, seed=1), a_gateway(store, seed=2)
    for run in (words, add("a")):
        with pytest.raises(FileMissing):
            await one.execute(ADDRESS, run)
    assert await one.execute(ADDRESS, words, create=True) == []
    assert store.puts() == []
    answers = await asyncio.gather(
        one.execute(ADDRESS, add("a"), create=True), other.execute(ADDRESS, add("b"), create=True)
    )
    assert sorted(map(len, answers)) == [1, 2]
    assert sorted(await Bucket(store).words()) == ["a", "b"]


# ---- lost answers and lost races


@virtual
async def test_a_save_whose_answer_was_lost_is_found_in_the_ring_and_not_run_again() -> None:
    bucket = await Bucket.holding()
    gateway = a_gateway(bucket.store)
    bucket.store.hold("put", KEY)
    writing = asyncio.create_task(gateway.execute(ADDRESS, add("a")))
    held = await bucket.store.next_held()
    bucket.store.let_go()
    await held.lose_answer()
    assert await writing == ["a"]
    assert (await bucket.words(), len(bucket.store.puts())) == (["a"], 1)


@virtual
async def test_it_is_found_below_the_saves_of_others_and_answers_what_its_own_run_saw() -> None:
    bucket = await Bucket.holding()
    gateway, other = a_gateway(bucket.store), a_gateway(bucket.store.inner, seed=2)
    bucket.store.hold("put", KEY)
    writing = asyncio.create_task(gateway.execute(ADDRESS, add("a")))
    held = await bucket.store.next_held()
    await held.duplicate()
    for number in range(RING_LENGTH_MAX - 1):
        await other.execute(ADDRESS, add(str(number)))
    bucket.store.let_go()
    held.fail(OutcomeUnknown("no answer"))
    assert await writing == ["a"]
    assert (await bucket.words()).count("a") == 1


@virtual
async def test_where_the_ring_has_forgotten_the_base_the_outcome_is_unknown_and_nothing_runs_again() -> None:
    for landed in (True, False):
        bucket = await Bucket.holding("base")
        gateway, other = a_gateway(bucket.store), a_gateway(bucket.store.inner, seed=2)
        await other.execute(ADDRESS, add("first"))
        bucket.store.hold("put", KEY)
        writing = asyncio.create_task(gateway.execute(ADDRESS, add("a")))
        held = await bucket.store.next_held()
        if landed:
            await held.duplicate()
        for number in range(RING_LENGTH_MAX):
            await other.execute(ADDRESS, add(str(number)))
        bucket.store.let_go()
        held.fail(OutcomeUnknown("no answer"))
        with pytest.raises(SaveUnknown):
            await writing
        assert (await bucket.words()).count("a") == int(landed)
        assert gateway.figures.unknown_saves == 1


@virtual
async def test_a_lost_race_runs_again_on_the_newer_file() -> None:
    bucket = await Bucket.holding()
    gateway, other = a_gateway(bucket.store), a_gateway(bucket.store.inner, seed=2)
    bucket.store.hold("put", KEY)
    writing = asyncio.create_task(gateway.execute(ADDRESS, add("a")))
    held = await bucket.store.next_held()
    await other.execute(ADDRESS, add("b"))
    bucket.store.let_go()
    await held.complete()
    assert await writing == ["b", "a"]
    assert (gateway.figures.lost_races, gateway.figures.of("alice").lost_races) == (1, 1)


@virtual
async def test_an_unanswered_save_that_did_not_land_is_sent_again_unchanged() -> None:
    """The late copy and the resend are the same bytes: whichever lands, the first run's answer is right."""
    bucket = await Bucket.holding()
    gateway = a_gateway(bucket.store)
    bucket.store.hold("put", KEY)
    writing = asyncio.create_task(gateway.execute(ADDRESS, add("a")))
    first = await bucket.store.next_held()
    first.fail()
    second = await bucket.store.next_held()
    assert (second.sent.body, second.sent.metadata) == (first.sent.body, first.sent.metadata)
    await first.duplicate()  # the slow one arrives first after all
    bucket.store.let_go()
    await second.complete()
    assert (await writing, await bucket.words()) == (["a"], ["a"])


@virtual
async def test_a_slow_save_of_a_lost_race_never_lands_later() -> None:
    bucket = await Bucket.holding()
    gateway, other = a_gateway(bucket.store), a_gateway(bucket.store.inner, seed=2)
    bucket.store.hold("put", KEY)
    writing = asyncio.create_task(gateway.execute(ADDRESS, add("a")))
    first = await bucket.store.next_held()
    await other.execute(ADDRESS, add("b"))
    bucket.store.let_go()
    first.fail()
    assert await writing == ["b", "a"]
    await first.duplicate()
    assert await bucket.words() == ["b", "a"]


@virtual
async def test_races_lost_several_times_in_a_row_are_a_retryable_conflict_with_nothing_kept() -> None:
    bucket = await Bucket.holding()
    gateway, other = a_gateway(bucket.store, races_max=2), a_gateway(bucket.store.inner, seed=2)
    bucket.store.hold("put", KEY)
    writing = asyncio.create_task(gateway.execute(ADDRESS, add("a")))
    for number in range(3):
        held = await bucket.store.next_held()
        await other.execute(ADDRESS, add(str(number)))
        await held.complete()
    with pytest.raises(LostRace) as lost:
        await writing
    assert (lost.value.code, lost.value.retryable, lost.value.retry_after_s) == ("lost_race", True, 1.0)
    assert await bucket.words() == ["0", "1", "2"]


@virtual
async def test_a_store_that_refuses_a_save_is_asked_again_and_in_the_end_nothing_was_carried_out() -> None:
    bucket = await Bucket.holding()
    gateway = a_gateway(bucket.store)
    bucket.store.fail_next("put", KEY, Unavailable("429", retry_after_s=1.0))
    assert await gateway.execute(ADDRESS, add("a")) == ["a"]
    for _ in range(6):
        bucket.store.fail_next("put", KEY, Unavailable("429"))
    with pytest.raises(Unavailable) as failed:
        await gateway.execute(ADDRESS, add("b"))
    assert not isinstance(failed.value, OutcomeUnknown)
    assert await bucket.words() == ["a"]


@virtual
async def test_a_save_that_nobody_can_look_at_is_unknown_and_not_retryable() -> None:
    bucket = await Bucket.holding()
    gateway = a_gateway(bucket.store)
    bucket.store.hold("put", KEY)
    writing = asyncio.create_task(gateway.execute(ADDRESS, add("a")))
    held = await bucket.store.next_held()
    bucket.store.let_go()
    bucket.store.broken = "away"
    held.fail()
    with pytest.raises(SaveUnknown) as unknown:
        await writing
    assert (unknown.value.code, unknown.value.retryable) == ("outcome_unknown", False)


@virtual
async def test_credentials_refused_after_a_lost_answer_leave_the_outcome_unknown() -> None:
    bucket = await Bucket.holding()
    bucket.store.fail_next("put", KEY, OutcomeUnknown("no answer"))
    bucket.store.fail_next("put", KEY, StoreRefused("403"))
    with pytest.raises(SaveUnknown):
        await a_gateway(bucket.store).execute(ADDRESS, add("a"))
    bucket.store.fail_next("put", KEY, StoreRefused("403"))
    with pytest.raises(StoreRefused):
        await a_gateway(bucket.store, seed=3).execute(ADDRESS, add("a"))


# ---- states


@virtual
async def test_while_sealing_reads_are_answered_and_writes_wait() -> None:
    bucket = await Bucket.holding("a")
    await bucket.change(Event.SEAL)
    gateway = a_gateway(bucket.store)
    assert await gateway.execute(ADDRESS, words) == ["a"]
    with pytest.raises(ChangingModes) as refused:
        await gateway.execute(ADDRESS, add("b"))
    assert (refused.value.retryable, refused.value.retry_after_s) == (True, 1.0)
    assert await bucket.words() == ["a"]


@virtual
async def test_once_the_actor_serves_nothing_is_answered_from_the_file() -> None:
    bucket = await Bucket.holding("a")
    await bucket.change(Event.SEAL)
    await bucket.change(Event.CUT_OVER)
    for run in (words, add("b")):
        with pytest.raises(FileMoved):
            await a_gateway(bucket.store).execute(ADDRESS, run)


@virtual
async def test_while_returning_reads_wait_too() -> None:
    bucket = await Bucket.holding("a")
    for event in (Event.SEAL, Event.CUT_OVER, Event.RETURN):
        await bucket.change(event)
    for run in (words, add("b")):
        with pytest.raises(ChangingModes):
            await a_gateway(bucket.store).execute(ADDRESS, run)


@virtual
async def test_a_seal_that_came_first_turns_the_write_away_unrun() -> None:
    bucket = await Bucket.holding()
    bucket.store.hold("put", KEY)
    writing = asyncio.create_task(a_gateway(bucket.store).execute(ADDRESS, add("a")))
    held = await bucket.store.next_held()
    await bucket.change(Event.SEAL)
    bucket.store.let_go()
    await held.complete()
    with pytest.raises(ChangingModes):
        await writing
    assert await bucket.words() == []


@virtual
@pytest.mark.parametrize("events", [[Event.SEAL], [Event.SEAL, Event.CUT_OVER], [Event.SEAL, Event.ABORT]])
async def test_a_save_that_landed_before_the_seal_is_answered_whatever_the_state(events: list[Event]) -> None:
    bucket = await Bucket.holding()
    bucket.store.hold("put", KEY)
    writing = asyncio.create_task(a_gateway(bucket.store).execute(ADDRESS, add("a")))
    held = await bucket.store.next_held()
    await held.duplicate()
    for event in events:
        await bucket.change(event)
    bucket.store.let_go()
    held.fail()
    assert await writing == ["a"]
    assert await bucket.words() == ["a"]


# ---- one gateway: turns, pace, bounds


@virtual
async def test_saves_of_one_address_go_a_second_apart_where_the_store_wants_it() -> None:
    bucket = await Bucket.holding()
    gateway, clock = a_gateway(bucket.store, save_interval_s=1.0), VirtualClock()
    began_at = clock.now()
    answers = await asyncio.gather(*(gateway.execute(ADDRESS, add(word)) for word in "abcd"))
    assert clock.now() - began_at == pytest.approx(3.0)
    assert sorted(map(len, answers)) == [1, 2, 3, 4]
    assert (gateway.figures.lost_races, len(bucket.store.puts())) == (0, 4)


@virtual
async def test_reads_and_other_addresses_do_not_wait_for_a_saves_turn() -> None:
    bucket = await Bucket.holding()
    gateway, clock = a_gateway(bucket.store, save_interval_s=1.0), VirtualClock()
    await gateway.execute(ADDRESS, add("a"))
    began_at = clock.now()
    assert await gateway.execute(ADDRESS, words) == ["a"]
    await gateway.execute(Address("bob", "main"), add("b"), create=True)
    assert clock.now() == began_at


@virtual
async def test_a_bounded_number_of_writes_waits_for_a_turn() -> None:
    bucket = await Bucket.holding()
    gateway = a_gateway(bucket.store, save_interval_s=1.0, saves_waiting_max=2)
    results = await asyncio.gather(*(gateway.execute(ADDRESS, add(word)) for word in "abcdef"), return_exceptions=True)
    refused = [each for each in results if isinstance(each, TooManyWaiting)]
    assert len(refused) == 3
    assert len(await bucket.words()) == 3


@virtual
async def test_a_bounded_number_of_files_is_open_at_once() -> None:
    store = HeldFiles(VirtualClock())
    gateway = a_gateway(store, files_at_once=2)
    users = [Address(f"user{number}", "main") for number in range(5)]
    store.hold("get")
    reading = [asyncio.create_task(gateway.execute(user, words, create=True)) for user in users]
    first = await store.next_held()
    second = await store.next_held()
    for _ in range(20):
        await asyncio.sleep(0)
    assert store.holds == 0
    store.let_go()
    await first.complete()
    await second.complete()
    assert await asyncio.gather(*reading) == [[]] * 5


@virtual
async def test_a_file_that_is_too_large_is_refused_before_it_is_read_or_saved() -> None:
    bucket = await Bucket.holding("a")
    small = a_gateway(bucket.store, file_bytes_max=100)
    with pytest.raises(FileTooLarge, match="migrated"):
        await small.execute(ADDRESS, words)
    size = len(a_body("a"))
    fits = a_gateway(bucket.store, file_bytes_max=size + 100)
    with pytest.raises(FileTooLarge):
        await fits.execute(ADDRESS, add("x" * 100_000))
    assert bucket.store.puts() == []


@virtual
async def test_damage_is_named_and_stays_as_it_is() -> None:
    store = HeldFiles(VirtualClock())
    await store.inner.put(KEY, b"not a database")
    with pytest.raises(CorruptObject):
        await a_gateway(store).execute(ADDRESS, add("a"))
    assert store.puts() == []


@virtual
async def test_a_look_costs_no_download_unless_somebody_else_wrote_the_file() -> None:
    bucket = await Bucket.holding("a")
    gateway = a_gateway(bucket.store)
    look = await gateway.look(ADDRESS)
    assert look is not None
    assert (look.state.state, look.size) == (Mode.OPEN, len(a_body("a")))
    await gateway.execute(ADDRESS, add("b"))
    before = len(bucket.store.sent)
    look = await gateway.look(ADDRESS)
    assert look is not None
    assert [sent.name for sent in bucket.store.sent[before:]] == ["head"]
    assert await gateway.look(Address("nobody", "main")) is None


@virtual
async def test_figures_tell_who_should_move_and_why() -> None:
    store = HeldFiles(VirtualClock())
    gateway = a_gateway(store)
    await gateway.execute(ADDRESS, add("a"), create=True)
    await gateway.execute(ADDRESS, words)
    figures = dict(gateway.figures.users())["alice"]
    assert figures.size_bytes == (await store.inner.head(KEY)).size
    assert (len(figures.loads_s), len(figures.saves_s)) == (1, 1)


@virtual
async def test_large_files_are_spoken_of_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    bucket = await Bucket.holding("x" * (1_200_000))
    gateway, clock = a_gateway(bucket.store), VirtualClock()
    with caplog.at_level(logging.INFO, "storage.r2_sqlite.files"):
        for _ in range(3):
            await gateway.execute(ADDRESS, words)
        clock.skip(3600.0)
        await gateway.execute(ADDRESS, words)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert caplog.records[0].getMessage() == (
        "DATABASE MIGRATION RECOMMENDED: Database size (1.2MB) exceeds 1MB. "
        "Consider migrating archived data to Durable Objects."
    )
    assert gateway.watch.warnings == 4


@virtual
async def test_every_store_call_may_fail_and_no_write_is_lost_or_doubled() -> None:
    """The first, second, … call of a write fails in each way, until it passes untouched."""
    for failure in (Unavailable("503"), OutcomeUnknown("no answer")):
        for nth in range(1, 10):
            store = _FailsOnce(nth, failure)
            await store.inner.put(KEY, a_body())
            gateway = a_gateway(store)
            try:
                answer = await gateway.execute(ADDRESS, add("a"))
            except Unavailable:
                assert nth == 1  # the first load: nothing ran
                assert await Bucket(store).words() == []
            else:
                assert answer == ["a"] == await Bucket(store).words()
            if not store.failed:
                assert nth > 2
                break
        else:
            raise AssertionError("the write never passed untouched")


class _FailsOnce(HeldFiles):
    """The `nth` call fails with `failure`; a put that nobody answers is carried out."""

    def __init__(self, nth: int, failure: Exception) -> None:
        super().__init__(VirtualClock())
        self.nth = nth
        self.failure = failure
        self.failed = False

    async def _pass(self, sent, run):  # type: ignore[no-untyped-def]
        self.nth -= 1
        if self.nth:
            return await super()._pass(sent, run)
        self.failed = True
        if sent.name == "put" and isinstance(self.failure, OutcomeUnknown):
            await run()
        raise self.failure if sent.name == "put" else Unavailable(str(self.failure))


@virtual
async def test_random_gateways_and_a_store_that_loses_answers_keep_every_acknowledged_word_once() -> None:
    for seed in range(40):
        rng = random.Random(seed)
        store = _Careless(rng)
        await store.inner.put(KEY, a_body())
        gateways = [a_gateway(store, seed=100 * seed + number) for number in range(3)]
        certain: list[str] = []
        unknown: list[str] = []

        async def write(word: str, gateway=gateways, certain=certain, unknown=unknown, rng=rng) -> None:  # type: ignore[no-untyped-def]
            try:
                answer = await rng.choice(gateway).execute(ADDRESS, add(word))
            except (SaveUnknown, LostRace, Unavailable) as error:
                if isinstance(error, SaveUnknown):
                    unknown.append(word)
            else:
                assert answer[-1] == word
                certain.append(word)

        await asyncio.gather(*(write(f"w{number}") for number in range(12)))
        found = await Bucket(store).words()
        assert len(set(found)) == len(found), f"seed {seed}: twice"
        assert set(certain) <= set(found) <= set(certain) | set(unknown), f"seed {seed}"


class _Careless(HeldFiles):
    """Takes its time, loses answers, refuses, and carries out copies later."""

    def __init__(self, rng) -> None:  # type: ignore[no-untyped-def]
        super().__init__(VirtualClock())
        self.rng = rng

    async def _pass(self, sent, run):  # type: ignore[no-untyped-def]
        await asyncio.sleep(self.rng.random())
        if sent.name != "put":
            return await super()._pass(sent, run)
        fate = self.rng.random()
        if fate < 0.1:
            raise Unavailable("429")
        if fate < 0.2:
            raise OutcomeUnknown("lost on its way there")
        try:
            result = await super()._pass(sent, run)
        finally:
            await asyncio.sleep(self.rng.random())
        if fate < 0.4:
            raise OutcomeUnknown("lost on its way back")
        return result
