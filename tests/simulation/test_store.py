"""The simulated store: what it promises, what it may do to a request, and toys with known bugs that it must expose."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from storage.errors import ObjectNotFound, OutcomeUnknown, PreconditionFailed, Unavailable
from tests.simulation.bucket import Bucket
from tests.simulation.history import History
from tests.simulation.loop import SimLoop, make_loop
from tests.simulation.machine import Machine
from tests.simulation.process import Process
from tests.simulation.store import SimStore
from tests.simulation.weather import CALM, ROUGH, Weather

Body = Callable[["Bench"], Awaitable[None]]


class Bench:
    """A loop, a bucket, one machine with one process and its store."""

    def __init__(self, seed: int, weather: Weather) -> None:
        self.loop: SimLoop = make_loop(random.Random(seed))
        self.bucket = Bucket(self.loop.time)
        self.machine = Machine(0, self.loop, History(5, 10, 5), random.Random(seed))
        self.machine.weather = weather
        self.process = Process(1, "p1")
        self.rng = random.Random(seed)
        self.store = SimStore(self.loop, self.bucket, self.machine, self.process, self.rng)

    def run(self, body: Body) -> None:
        async def main() -> None:
            await self.loop.spawn(self.process, _as_coroutine(body(self)))

        self.loop.run(main(), steps_max=100_000, time_max=1e6)


async def _as_coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable


def test_conditional_writes_lists_and_metadata_follow_the_port() -> None:
    async def body(bench: Bench) -> None:
        store = bench.store
        info = await store.put("a/1", b"one", metadata={"kind": "x"}, if_none_match="*")
        assert info.etag == hashlib.md5(b"one").hexdigest()
        with pytest.raises(PreconditionFailed):
            await store.put("a/1", b"two", if_none_match="*")
        with pytest.raises(PreconditionFailed):
            await store.put("a/1", b"two", if_match="0" * 32)
        await store.put("a/1", b"two", if_match=info.etag, metadata={"kind": "y"})
        assert (await store.head("a/1")).metadata == {"kind": "y"}
        for key in ("a/3", "a/2", "a-b", "b/1"):
            await store.put(key, b"")
        page = await store.list("a/", limit=2)
        assert [each.key for each in page.objects] == ["a/1", "a/2"] and page.next_start_after == "a/2"
        assert [each.key for each in (await store.list("a/", start_after="a/2")).objects] == ["a/3"]
        await store.delete("a/1")
        with pytest.raises(ObjectNotFound):
            await store.get("a/1")

    Bench(1, CALM).run(body)


def test_a_conditional_write_is_sent_once_and_its_lost_answer_is_unknown() -> None:
    async def body(bench: Bench) -> None:
        with pytest.raises(OutcomeUnknown):
            await bench.store.put("k", b"v", if_none_match="*")
        assert bench.bucket.find("k") is not None

    Bench(1, replace(CALM, answer_lost=1.0)).run(body)


def test_a_refused_conditional_write_was_not_executed() -> None:
    async def body(bench: Bench) -> None:
        with pytest.raises(Unavailable) as caught:
            await bench.store.put("k", b"v", if_none_match="*")
        assert not isinstance(caught.value, OutcomeUnknown)
        assert bench.bucket.find("k") is None

    Bench(1, replace(CALM, refused=1.0)).run(body)


def test_reads_are_tried_again_and_end_in_unavailable() -> None:
    async def body(bench: Bench) -> None:
        with pytest.raises(Unavailable):
            await bench.store.head("k")

    Bench(1, replace(CALM, failed_before=1.0)).run(body)


def test_a_request_that_was_sent_is_executed_although_its_sender_died() -> None:
    bench = Bench(1, CALM)

    async def main() -> None:
        bench.loop.spawn(bench.process, bench.store.put("k", b"v"))
        await asyncio.sleep(0.001)
        bench.loop.kill(bench.process)
        await asyncio.sleep(1)

    bench.loop.run(main(), steps_max=1000, time_max=100)
    assert bench.bucket.find("k") is not None


def test_a_stray_copy_is_executed_long_after() -> None:
    bench = Bench(1, replace(CALM, duplicated=1.0, stray_s=(50.0, 60.0)))

    async def main() -> None:
        await bench.loop.spawn(bench.process, bench.store.put("k", b"v"))
        bench.bucket.delete("k")
        bench.loop.kill(bench.process)
        await asyncio.sleep(100)

    bench.loop.run(main(), steps_max=1000, time_max=1000)
    assert bench.bucket.find("k") is not None


def test_nothing_gets_through_while_the_machine_is_cut_off() -> None:
    async def body(bench: Bench) -> None:
        bench.machine.cut(100.0)
        with pytest.raises(OutcomeUnknown):
            await bench.store.put("k", b"v", if_none_match="*")
        assert bench.bucket.find("k") is None
        await asyncio.sleep(100)
        await bench.store.put("k", b"v", if_none_match="*")

    Bench(1, CALM).run(body)


# ---- a toy with a known bug: appending entries to numbered slots


async def _append(bench: Bench, entry: str, *, settles: bool) -> None:
    """Put an entry into the first free slot. Without settling, a lost answer is taken for a failure."""
    slot = 1
    while True:
        try:
            await bench.store.put(f"log/{slot}", entry.encode(), if_none_match="*")
            return
        except PreconditionFailed:
            if settles and await _is_there(bench, slot, entry):
                return
            slot += 1
        except Unavailable:
            continue


async def _is_there(bench: Bench, slot: int, entry: str) -> bool:
    while True:
        try:
            return (await bench.store.get(f"log/{slot}")).body == entry.encode()
        except Unavailable:
            continue


def _toy_finds_duplicates(seed: int, *, settles: bool) -> bool:
    bench = Bench(seed, replace(ROUGH, duplicated=0.0))

    async def body(bench: Bench) -> None:
        for number in range(10):
            await _append(bench, f"entry {number}", settles=settles)

    bench.run(body)
    bodies = [bench.bucket.get(key).body for key in bench.bucket.keys("log/")]
    return len(set(bodies)) != len(bodies)


def test_a_writer_that_does_not_settle_by_content_is_exposed_within_a_few_seeds() -> None:
    assert any(_toy_finds_duplicates(seed, settles=False) for seed in range(20))


def test_a_writer_that_settles_is_not() -> None:
    assert not any(_toy_finds_duplicates(seed, settles=True) for seed in range(20))
