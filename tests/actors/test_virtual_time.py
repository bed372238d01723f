"""Time of the test kit: it jumps while everybody waits, and a test that cannot end says so."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.actors.virtual_time import Deadlock, VirtualClock, VirtualLoop, virtual


@virtual
async def test_an_hour_passes_while_everybody_waits_and_timers_fire_in_order() -> None:
    clock, seen = VirtualClock(), []

    async def ring(after_s: float) -> None:
        await clock.sleep(after_s)
        seen.append(clock.now())

    began = clock.now()
    await asyncio.gather(ring(3600), ring(1), ring(60))
    assert [each - began for each in seen] == [1, 60, 3600]


@virtual
async def test_time_stands_still_while_a_thread_works() -> None:
    clock = VirtualClock()
    began = clock.now()
    async with asyncio.timeout(0.001):
        await asyncio.to_thread(time.sleep, 0.02)
    assert clock.now() == began


def test_waiting_for_what_cannot_happen_is_a_deadlock() -> None:
    loop = VirtualLoop()
    try:
        with pytest.raises(Deadlock):
            loop.run_until_complete(loop.create_future())
    finally:
        loop.close()
