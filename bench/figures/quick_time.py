"""An event loop on which hours pass in seconds: when nothing is ready and no thread is at work, its clock jumps ahead.

For counting what happens in an hour, not for timing anything. Threads' work takes no time at all on this clock.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

START_S = 1000.0
UNIX_START_S = 1_790_000_000.0
THREAD_WAIT_S = 0.05


class QuickTimeLoop(asyncio.SelectorEventLoop):
    """`time()` is the jumping clock."""

    def __init__(self) -> None:
        self.jumped_s = 0.0
        self._at_work = 0
        super().__init__(_JumpingSelector(self._jump))

    def time(self) -> float:
        return START_S + self.jumped_s

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self._at_work += 1
        future.add_done_callback(self._work_done)
        return future

    def _work_done(self, future: asyncio.Future[Any]) -> None:
        self._at_work -= 1

    def _jump(self, seconds: float | None) -> float | None:
        """What the selector may really wait, in seconds, where the loop would wait `seconds`."""
        if self._at_work:
            return THREAD_WAIT_S
        if seconds:
            self.jumped_s += seconds
            return 0.0
        return seconds


class LoopClock:
    """The running loop's time as a `storage.clock.Clock`."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return UNIX_START_S + self.now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _JumpingSelector(selectors.DefaultSelector):
    """Asks first whether anything is ready; only then does time jump."""

    def __init__(self, jump: Callable[[float | None], float | None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[Any]:
        ready: list[Any] = super().select(0)
        if ready or timeout == 0:
            return ready
        real = self._jump(timeout)
        return ready if real == 0 else list(super().select(real))
