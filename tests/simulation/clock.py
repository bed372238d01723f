"""Clocks of a simulated machine: a boot clock that drifts, a wall clock that jumps.

Boot clocks of two machines share nothing: each starts anywhere at boot and runs up to half a per cent fast or slow.
Suspend is a pause of every process of a machine; the boot clock runs on through it, unless `stops_in_suspend` builds
the hole that CLOCK_MONOTONIC would be.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.simulation.loop import SimLoop
from tests.simulation.process import Process

EPOCH_WALL_S = 1_800_000_000.0


@dataclass(slots=True)
class MachineClock:
    """The oscillator of one machine. `rate` is local seconds per true second."""

    boot_reading: float
    rate: float
    wall_offset: float = 0.0
    booted_at: float = 0.0
    stops_in_suspend: bool = False
    suspended_s: float = 0.0

    def read(self, true_time: float) -> float:
        awake = true_time - self.booted_at - (self.suspended_s if self.stops_in_suspend else 0.0)
        return self.boot_reading + awake * self.rate


class SimClock:
    """The `Clock` of one process. Time that a blocking call of the running handle took is already seen."""

    def __init__(self, loop: SimLoop, machine: MachineClock, process: Process) -> None:
        self._loop = loop
        self._machine = machine
        self._process = process

    def now(self) -> float:
        return self._machine.read(self._loop.time() + self._process.debt)

    def wall(self) -> float:
        return EPOCH_WALL_S + self._loop.time() + self._process.debt + self._machine.wall_offset

    async def sleep(self, seconds: float) -> None:
        self._process.check_alive()
        await asyncio.sleep(max(seconds, 0.0) / self._machine.rate)
