"""The event loop: virtual time, seeded order between processes, pauses, deaths, and the same run for the same seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.simulation.loop import Deadlock, Exhausted, SimLoop, make_loop
from tests.simulation.process import Process


def run(loop: SimLoop, main: Coroutine[Any, Any, Any]) -> Any:
    return loop.run(main, steps_max=10_000, time_max=1e6)


def a_loop(seed: int = 1) -> SimLoop:
    return make_loop(random.Random(seed))


def test_hours_pass_in_no_time() -> None:
    loop = a_loop()

    async def main() -> float:
        async with asyncio.timeout(7200):
            await asyncio.sleep(3600)
        return loop.time()

    assert run(loop, main()) == 3600


def test_asyncio_primitives_work_as_usual() -> None:
    async def main() -> list[str]:
        order: list[str] = []
        event, lock = asyncio.Event(), asyncio.Lock()

        async def waiter(name: str) -> None:
            await event.wait()
            async with lock:
                order.append(name)
                await asyncio.sleep(1)

        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(waiter(name))
            event.set()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 1)
        return order

    assert run(a_loop(), main()) == ["a", "b", "c"]


async def _chatter(order: list[str], name: str) -> None:
    for _ in range(5):
        order.append(name)
        await asyncio.sleep(0)


def _interleaving(seed: int) -> str:
    loop = a_loop(seed)
    order: list[str] = []

    async def main() -> None:
        tasks = [loop.spawn(Process(n, name), _chatter(order, name)) for n, name in ((1, "a"), (2, "b"))]
        await asyncio.gather(*tasks)

    run(loop, main())
    return "".join(order)


def test_the_seed_decides_who_runs_next() -> None:
    assert len({_interleaving(seed) for seed in range(20)}) > 5
    assert _interleaving(3) == _interleaving(3)


def test_within_a_process_callbacks_run_in_the_order_they_were_scheduled() -> None:
    for seed in range(20):
        loop = a_loop(seed)
        seen: list[int] = []

        async def main(loop: SimLoop = loop, seen: list[int] = seen) -> None:
            context = loop.context_of(Process(1, "a"))
            for number in range(10):
                loop.call_soon(seen.append, number, context=context)
            await asyncio.sleep(1)

        run(loop, main())
        assert seen == list(range(10))


def test_a_paused_process_stands_still_and_its_timers_fire_late() -> None:
    loop = a_loop()
    process = Process(1, "a")
    times: list[float] = []

    async def ticker() -> None:
        while True:
            await asyncio.sleep(1)
            times.append(loop.time())

    async def main() -> None:
        loop.spawn(process, ticker())
        await asyncio.sleep(1.5)
        loop.pause(process, 10)
        await asyncio.sleep(11.2)

    run(loop, main())
    assert times == [1, 11.5, 12.5]


def test_a_killed_process_never_runs_again_not_even_its_finally() -> None:
    loop = a_loop()
    process = Process(1, "a")
    steps: list[str] = []

    async def victim() -> None:
        try:
            steps.append("began")
            await asyncio.sleep(5)
            steps.append("went on")
        finally:
            process.check_alive()
            steps.append("cleaned up")

    async def main() -> None:
        loop.spawn(process, victim())
        await asyncio.sleep(1)
        loop.kill(process)
        await asyncio.sleep(20)

    run(loop, main())
    assert steps == ["began"]


def test_a_fuse_burns_at_the_boundary_of_a_handle() -> None:
    loop = a_loop()
    process = Process(1, "a")
    order: list[str] = []

    async def main() -> None:
        process.light_fuse(3, lambda: loop.kill(process))
        loop.spawn(process, _chatter(order, "x"))
        await asyncio.sleep(1)

    run(loop, main())
    assert len(order) == 3


def test_time_taken_by_a_blocking_call_stops_the_process_afterwards() -> None:
    loop = a_loop()
    process = Process(1, "a")
    times: list[float] = []

    async def blocker() -> None:
        process.debt += 7
        await asyncio.sleep(0)
        times.append(loop.time())

    async def main() -> None:
        await loop.spawn(process, blocker())

    run(loop, main())
    assert times == [7]


def test_waiting_for_nothing_is_a_deadlock_and_running_for_ever_is_noticed() -> None:
    async def stuck() -> None:
        await asyncio.get_running_loop().create_future()

    async def busy() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(Deadlock):
        run(a_loop(), stuck())
    with pytest.raises(Exhausted):
        run(a_loop(), busy())


def test_threads_are_refused() -> None:
    async def main() -> None:
        await asyncio.to_thread(len, "")

    with pytest.raises(AssertionError, match="threads"):
        run(a_loop(), main())


def test_an_error_that_nobody_takes_in_is_kept() -> None:
    loop = a_loop()

    async def main() -> None:
        loop.call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    run(loop, main())
    assert len(loop.unhandled) == 1 and "ZeroDivisionError" in loop.unhandled[0]
