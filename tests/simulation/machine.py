"""A simulated machine: a disk, clocks, a way to the bucket, and the accidents that can befall all of it at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.simulation.clock import MachineClock
from tests.simulation.disk import MachineDisk
from tests.simulation.history import Hindrance, History
from tests.simulation.loop import SimLoop
from tests.simulation.process import Process
from tests.simulation.weather import CALM, Weather

DRIFT_MAX = 0.005
BLOCKED_S = 0.5


@dataclass(slots=True)
class Trap:
    """An accident that waits for a request: the `nth` one whose name and key match sets it off."""

    name: str
    key_part: str
    nth: int
    fire: Callable[[Process], None]


class Machine:
    """State of one machine; it is its processes' `Line` to the bucket. `index` is its place in the cluster."""

    def __init__(self, index: int, loop: SimLoop, history: History, rng: random.Random) -> None:
        self.index = index
        self.name = f"m{index}"
        self.loop = loop
        self.rng = rng
        self.disk = MachineDisk(self.name, random.Random(rng.getrandbits(64)))
        self.clock = self._boot_clock()
        self.weather: Weather = CALM
        self.up = True
        self.lost = False
        self.cut_until = 0.0
        self.suspended_until = 0.0
        self.traps: list[Trap] = []
        self._history = history
        self.disk.blocked = self._blocked

    def _boot_clock(self) -> MachineClock:
        return MachineClock(
            boot_reading=self.rng.uniform(0.0, 1e6),
            rate=1.0 + self.rng.uniform(-DRIFT_MAX, DRIFT_MAX),
            booted_at=self.loop.time(),
        )

    # ---- the line to the bucket

    @property
    def cut_off(self) -> bool:
        return self.loop.time() < self.cut_until

    def sent(self, process: Process, name: str, key: str) -> None:
        for trap in self.traps:
            if trap.name == name and trap.key_part in key:
                trap.nth -= 1
                if trap.nth == 0:
                    self.traps.remove(trap)
                    trap.fire(process)
                return

    def trouble(self, since: float, until: float) -> None:
        self.hindered(since, until)

    def _blocked(self, seconds: float) -> None:
        if seconds > BLOCKED_S:
            self.hindered(self.loop.time(), self.loop.time() + seconds)

    # ---- accidents

    def hindered(self, since: float, until: float) -> None:
        """Note that the machine could not do its work for a while."""
        self._history.hindrances.append(Hindrance(self.name, since, until))

    def cut(self, seconds: float) -> None:
        """No way to the bucket for a while; clients still reach it."""
        self.cut_until = max(self.cut_until, self.loop.time() + seconds)
        self.hindered(self.loop.time(), self.cut_until)

    def shut_down(self) -> None:
        """Power goes; the caller has killed the processes. `boot` brings it up again."""
        self.up = False
        self.disk.restart()

    def boot(self) -> None:
        """The machine is up again, with a new boot clock that shares nothing with the old one."""
        self.up = True
        self.clock = self._boot_clock()

    def lose(self) -> None:
        """Gone for good, with its disk."""
        self.up = False
        self.lost = True

    def __repr__(self) -> str:
        return self.name
