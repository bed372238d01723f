"""What the simulated world schedules, pauses and kills: one operating-system process.

`debt` is time that a blocking call took inside the running handle: what the process does after such a call happens that
much later, and the process stands still until then. `fuse` counts handles down to a planned accident.
"""

from __future__ import annotations

from asyncio.events import Handle
from collections import deque
from collections.abc import Callable


class ProcessDead(BaseException):
    """Raised by every port of a killed process: no `finally` of it may touch the world."""


class Process:
    """Scheduling state of one process; the loop owns every field but `debt` and the fuse."""

    __slots__ = ("dead", "debt", "fire", "fuse", "name", "number", "pause_mark", "paused_until", "queue")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.queue: deque[Handle] = deque()
        self.dead = False
        self.paused_until = 0.0
        self.pause_mark = 0
        self.debt = 0.0
        self.fuse = 0
        self.fire: Callable[[], None] = _nothing

    def light_fuse(self, handles: int, fire: Callable[[], None]) -> None:
        """Call `fire` after so many more handles of this process (a later call replaces the earlier one)."""
        self.fuse, self.fire = handles, fire

    def check_alive(self) -> None:
        """Raise `ProcessDead` for a killed process; the first line of every port."""
        if self.dead:
            raise ProcessDead(self.name)

    def __repr__(self) -> str:
        return self.name


def _nothing() -> None:
    """No accident is planned."""
