"""The loop whose clock jumps."""

from __future__ import annotations

import asyncio
import time

from bench.figures.quick_time import LoopClock, QuickTimeLoop


def test_a_day_of_sleep_is_over_at_once_and_in_order() -> None:
    order: list[str] = []

    async def sleep(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append(name)

    async def main() -> float:
        clock = LoopClock()
        began = clock.now()
        async with asyncio.TaskGroup() as group:
            for name, hours in (("late", 24), ("early", 1), ("middle", 7)):
                group.create_task(sleep(name, hours * 3600))
        return clock.now() - began

    with asyncio.Runner(loop_factory=QuickTimeLoop) as runner:
        assert 86_400 <= runner.run(main()) < 86_401
    assert order == ["early", "middle", "late"]


def test_time_does_not_jump_while_a_thread_is_at_work() -> None:
    async def main() -> float:
        clock = LoopClock()
        began = clock.now()
        async with asyncio.timeout(60):
            await asyncio.to_thread(time.sleep, 0.02)
        return clock.now() - began

    with asyncio.Runner(loop_factory=QuickTimeLoop) as runner:
        assert runner.run(main()) < 60
