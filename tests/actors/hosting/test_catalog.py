"""From an address to its activation: shared starts, failures for the few they concern, eviction, budget, drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from actors.call import Call, Op, Reply
from actors.errors import HostFull, InR2Mode, Moved, NotInActorMode
from actors.hosting.catalog import Catalog
from actors.hosting.scheduler import Scheduler
from actors.hosting.settings import HostSettings
from storage.errors import CorruptSegment, HoldfastError, Unavailable
from storage.layout.address import Address
from tests.actors.hosting.echo import EchoActivation
from tests.actors.hosting.linked import until

ALICE, BOB, CAROL = (Address(user, "p") for user in ("alice", "bob", "carol"))


class HandClock:
    """A clock that the test moves. Sleepers wake when their time has come."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.time + seconds, future))
        await future

    async def pass_by(self, seconds: float) -> None:
        self.time += seconds
        due = [future for at, future in self.sleepers if at <= self.time]
        self.sleepers = [(at, future) for at, future in self.sleepers if at > self.time]
        for future in due:
            future.set_result(None)
        for _ in range(10):
            await asyncio.sleep(0)


class House:
    """A catalog whose activations the test holds in its hands."""

    def __init__(self, settings: HostSettings) -> None:
        self.clock = HandClock()
        self.scheduler = Scheduler(asyncio.get_running_loop().call_soon, self.clock.now, pass_budget_s=1)
        self.catalog = Catalog(self._activate, self.scheduler, self.clock, settings)
        self.starts: list[Address] = []
        self.made: list[EchoActivation] = []
        self.fail_with: dict[Address, HoldfastError | Exception] = {}
        self.memory_bytes: dict[Address, int] = {}
        self.may_start = asyncio.Event()
        self.may_start.set()
        self.starting = self.starting_max = 0

    async def _activate(self, address: Address) -> EchoActivation:
        self.starts.append(address)
        self.starting += 1
        self.starting_max = max(self.starting_max, self.starting)
        try:
            await self.may_start.wait()
        finally:
            self.starting -= 1
        if address in self.fail_with:
            raise self.fail_with[address]
        activation = EchoActivation(address, self.clock, memory_bytes=self.memory_bytes.get(address, 100))
        self.made.append(activation)
        return activation

    def ask(self, address: Address, body: bytes = b"", **args: object) -> asyncio.Future[Reply]:
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.catalog.submit(address, Call(Op.SQL, args, body, answer.set_result, answer.set_exception))
        return answer

    async def code(self, answer: asyncio.Future[Reply]) -> str:
        try:
            return (await answer).body.decode()
        except HoldfastError as error:
            return error.code

    def live(self) -> list[Address]:
        return [each.address for each in self.made if not each.ended.done()]


@asynccontextmanager
async def a_house(**settings: float) -> AsyncIterator[House]:
    house = House(HostSettings(**settings))  # type: ignore[arg-type]
    try:
        yield house
    finally:
        house.may_start.set()
        await house.catalog.close()


async def test_calls_that_come_together_share_one_start_and_run_in_order() -> None:
    async with a_house() as house:
        house.may_start.clear()
        answers = [house.ask(ALICE, b"%d" % number) for number in range(5)]
        await until(lambda: house.starts)
        house.may_start.set()
        assert [(await answer).body for answer in answers] == [b"0", b"1", b"2", b"3", b"4"]
        assert house.starts == [ALICE] and house.made[0].ran == [b"0", b"1", b"2", b"3", b"4"]


async def test_only_so_many_calls_wait_for_a_start() -> None:
    async with a_house(waiting_calls_max=2) as house:
        house.may_start.clear()
        answers = [house.ask(ALICE, b"x") for _ in range(3)]
        assert await house.code(answers[2]) == "overloaded"
        house.may_start.set()
        assert [await house.code(answer) for answer in answers[:2]] == ["x", "x"]


async def test_only_so_many_activations_start_at_once_and_only_so_many_wait_for_it() -> None:
    async with a_house(activations_at_once=2, activating_max=4) as house:
        house.may_start.clear()
        answers = [house.ask(Address(f"u{n}", "p"), b"x") for n in range(5)]
        assert await house.code(answers[4]) == "overloaded"
        await until(lambda: house.starting == 2)
        house.may_start.set()
        assert [await house.code(answer) for answer in answers[:4]] == ["x"] * 4
        assert house.starting_max == 2


async def test_a_failed_start_answers_those_who_wait_and_is_tried_again_only_after_a_while() -> None:
    async with a_house(backoff_first_s=1, backoff_max_s=8) as house:
        house.fail_with[ALICE] = CorruptSegment("slot 3 is damaged")
        assert await house.code(house.ask(ALICE)) == "corrupt_segment"
        assert await house.code(house.ask(ALICE)) == "corrupt_segment"
        assert await house.code(house.ask(BOB, b"fine")) == "fine"
        assert house.starts == [ALICE, BOB]
        house.clock.time += 1
        del house.fail_with[ALICE]
        assert await house.code(house.ask(ALICE, b"repaired")) == "repaired"


async def test_a_start_that_fails_again_and_again_waits_longer_each_time() -> None:
    async with a_house(backoff_first_s=1, backoff_max_s=100) as house:
        house.fail_with[ALICE] = Unavailable("the bucket answers 500")
        for _ in range(200):
            await house.code(house.ask(ALICE))
            house.clock.time += 0.5
        assert len(house.starts) <= 8


@pytest.mark.parametrize("refusal", [InR2Mode("open"), NotInActorMode("returning")], ids=lambda error: error.code)
async def test_a_refusal_by_the_files_state_is_not_remembered(refusal: HoldfastError) -> None:
    """The file may be the actor's a moment later, and whoever asks then must be served."""
    async with a_house(backoff_first_s=100) as house:
        house.fail_with[ALICE] = refusal
        assert await house.code(house.ask(ALICE)) == refusal.code
        del house.fail_with[ALICE]
        assert await house.code(house.ask(ALICE, b"moved")) == "moved"


async def test_a_bug_in_a_start_is_answered_too() -> None:
    async with a_house() as house:
        house.fail_with[ALICE] = RuntimeError("a bug")
        assert await house.code(house.ask(ALICE)) == "actor_error"
        assert await house.code(house.ask(BOB, b"fine")) == "fine"


async def test_an_activation_that_broke_is_replaced_at_the_next_call() -> None:
    async with a_house(backoff_first_s=1) as house:
        await house.ask(ALICE)
        house.clock.time += 100
        house.made[0].end(Moved("fenced"))
        await asyncio.sleep(0)
        assert await house.code(house.ask(ALICE, b"again")) == "again"
        assert len(house.made) == 2


async def test_what_waited_behind_an_activation_that_broke_is_told_that_it_did_not_run() -> None:
    async with a_house() as house:
        await house.ask(ALICE)
        waiting = house.ask(ALICE, b"w")
        house.made[0].end(Moved("fenced"))
        house.scheduler.close(house.catalog._residents[ALICE].inbox)
        assert await house.code(waiting) == "activation_ended"
        assert house.made[0].ran == [b""]


async def test_an_activation_that_breaks_as_soon_as_it_lives_is_not_restarted_in_a_circle() -> None:
    async with a_house(backoff_first_s=1) as house:
        await house.ask(ALICE)
        house.made[0].end(Moved("fenced"))
        await asyncio.sleep(0)
        assert await house.code(house.ask(ALICE)) == "activation_ended"
        house.clock.time += 1
        assert await house.code(house.ask(ALICE, b"x")) == "x"


async def test_the_idle_are_released_and_come_back_when_called() -> None:
    async with a_house(idle_evict_s=900, sweep_interval_s=5) as house:
        house.catalog.start()
        await house.ask(ALICE)
        await house.clock.pass_by(600)
        await house.ask(BOB)
        await house.clock.pass_by(301)
        await house.clock.pass_by(5)
        assert house.live() == [BOB] and house.made[0].releases == 1
        assert await house.code(house.ask(ALICE, b"back")) == "back"
        assert house.live() == [BOB, ALICE]


async def test_one_that_is_busy_or_has_calls_open_is_not_idle() -> None:
    async with a_house(idle_evict_s=900, sweep_interval_s=5) as house:
        house.catalog.start()
        held = house.ask(ALICE, b"held", hold=True)
        await until(lambda: house.made and house.made[0].held)
        house.made[0].busy = False
        await house.clock.pass_by(2000)
        await house.clock.pass_by(5)
        assert house.live() == [ALICE]
        house.made[0].let_go()
        assert (await held).body == b"held"


async def test_one_that_says_it_is_busy_stays_though_no_call_is_open() -> None:
    async with a_house(idle_evict_s=900, sweep_interval_s=5) as house:
        house.catalog.start()
        await house.ask(ALICE)
        house.made[0].busy = True
        await house.clock.pass_by(2000)
        assert house.live() == [ALICE]
        house.made[0].busy = False
        await house.clock.pass_by(5)
        assert house.live() == []


async def test_a_call_that_comes_while_its_activation_leaves_runs_on_the_next_one() -> None:
    async with a_house(idle_evict_s=10, sweep_interval_s=5) as house:
        house.catalog.start()
        await house.ask(ALICE)
        house.made[0].may_release.clear()
        await house.clock.pass_by(20)
        assert house.made[0].releases == 1
        late = house.ask(ALICE, b"late")
        await asyncio.sleep(0)
        assert len(house.made) == 1
        house.made[0].may_release.set()
        assert (await late).body == b"late"
        assert house.made[0].ran == [b""] and house.made[1].ran == [b"late"]


async def test_a_release_that_fails_or_hangs_ends_in_a_kill() -> None:
    def fails() -> object:
        raise Unavailable("the bucket is out of reach")

    async with a_house(idle_evict_s=10, sweep_interval_s=5, release_timeout_s=0.01) as house:
        house.catalog.start()
        await house.ask(ALICE)
        await house.ask(BOB)
        house.made[0].release_with = fails
        house.made[1].may_release.clear()
        await house.clock.pass_by(20)
        await until(lambda: [each.kills for each in house.made] == [1, 1])
        assert await house.code(house.ask(ALICE, b"back")) == "back"


async def test_the_budget_evicts_the_least_recently_used_and_refuses_when_all_are_in_use() -> None:
    async with a_house(memory_bytes_max=300, activation_bytes_estimate=100) as house:
        for user in (ALICE, BOB, CAROL):
            await house.ask(user)
            house.clock.time += 1
        await house.ask(Address("dave", "p"))
        assert ALICE not in house.live() and len(house.live()) == 3
        busy = [house.ask(address, b"h", hold=True) for address in house.live()]
        await asyncio.sleep(0.001)
        assert await house.code(house.ask(ALICE)) == "host_full"
        for each in house.made:
            each.let_go()
        await asyncio.gather(*busy)
        assert await house.code(house.ask(ALICE, b"now")) == "now"


async def test_a_database_larger_than_what_can_be_freed_is_released_again() -> None:
    async with a_house(memory_bytes_max=1000, activation_bytes_estimate=10) as house:
        house.memory_bytes[ALICE] = 1001
        try:
            await house.ask(ALICE)
        except HostFull as error:
            assert error.retry_after_s
        else:
            raise AssertionError("it was admitted")
        assert house.made[0].releases == 1 and house.live() == []


async def test_one_that_grew_makes_others_leave() -> None:
    async with a_house(memory_bytes_max=1000, activation_bytes_estimate=10, sweep_interval_s=5) as house:
        house.catalog.start()
        await house.ask(ALICE)
        house.clock.time += 1
        await house.ask(BOB)
        house.made[1].memory_bytes = 950
        await house.clock.pass_by(5)
        assert house.live() == [BOB]


async def test_drain_releases_everybody_and_takes_nothing_more() -> None:
    async with a_house() as house:
        users = [Address(f"u{n}", "p") for n in range(50)]
        await asyncio.gather(*(house.ask(user) for user in users))
        assert await house.catalog.drain() == []
        assert house.live() == [] and all(each.releases == 1 for each in house.made)
        assert await house.code(house.ask(ALICE)) == "activation_ended"


async def test_drain_calls_off_starts_and_names_those_it_had_to_kill() -> None:
    async with a_house(release_timeout_s=0.01) as house:
        await house.ask(ALICE)
        house.made[0].may_release.clear()
        house.may_start.clear()
        waiting = house.ask(BOB)
        assert await house.catalog.drain() == [ALICE]
        assert await house.code(waiting) == "activation_ended" and house.catalog.status()["activations"] == 0


async def test_a_release_asked_for_by_a_call_frees_the_address() -> None:
    async with a_house() as house:
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        house.catalog.submit(ALICE, Call(Op.RELEASE, {}, b"", done.set_result, done.set_exception))
        await done
        assert await house.code(house.ask(ALICE, b"x")) == "x"
        assert len(house.made) == 2 and house.live() == [ALICE]


async def test_status_counts() -> None:
    async with a_house() as house:
        await house.ask(ALICE)
        house.may_start.clear()
        house.ask(BOB).add_done_callback(_seen)
        assert house.catalog.status() == {"activations": 1, "coming": 1, "leaving": 0, "memory_bytes": 100, "calls": 1}


_seen: Callable[[asyncio.Future[Reply]], object] = lambda answer: answer.exception()  # noqa: E731
