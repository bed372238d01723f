"""Time as an argument.

`now()` is CLOCK_BOOTTIME: it runs on through suspend, and is compared only with readings of the same machine (no
safety rule compares wall clocks of two machines). `wall()` is Unix time, for people, timestamps and retention only.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What the rest of the code knows of time."""

    def now(self) -> float:
        """Seconds on this machine's boot clock; never goes back while the machine is up."""
        ...

    def wall(self) -> float:
        """Unix time in seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after at least `seconds` of `now()`."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
