"""An event loop whose time only passes while everything waits for it, and the clock that reads it.

A test that sleeps an hour takes no time; timers fire in their order; nothing depends on how fast the machine is. While
work runs in a thread, time stands still. A test in which everybody waits for something that cannot happen ends with
`Deadlock` instead of hanging. A test gets its loop by the decorator `virtual`.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

STARTS_AT_S = 1000.0
WALL_AT_START_S = 1_700_000_000.0
THREAD_WAIT_S_MAX = 20.0


class Deadlock(Exception):
    """Everybody waits, no timer runs: the test would never end."""


if TYPE_CHECKING:
    _Selector = selectors.SelectSelector
else:
    _Selector = selectors.DefaultSelector


class _JumpingSelector(_Selector):
    """Where a loop would wait for real, its time jumps."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.loop.in_threads:
            return super().select(THREAD_WAIT_S_MAX)
        if timeout is None:
            raise Deadlock("everybody waits for something that cannot happen")
        self.loop.virtual_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module. `in_threads`: how many pieces of work run in threads now."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self.virtual_s = STARTS_AT_S
        self.in_threads = 0
        super().__init__(selector)

    def time(self) -> float:
        return self.virtual_s

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self.in_threads += 1
        future.add_done_callback(self._left_thread)
        return future

    async def shutdown_default_executor(self) -> None:
        self.in_threads += 1
        await super().shutdown_default_executor()
        self.in_threads -= 1

    def _left_thread(self, _done: asyncio.Future[Any]) -> None:
        self.in_threads -= 1


class VirtualClock:
    """`Clock` over a virtual loop. `skip` makes time pass in one step, as a pause of the whole process would.

    `tick_s` is how long looking at the clock takes: what looks often enough runs out of time.
    """

    def __init__(self, *, tick_s: float = 0.0) -> None:
        self._tick_s = tick_s
        self._made_in = asyncio.get_running_loop()

    def now(self) -> float:
        loop = self._loop()
        loop.virtual_s += self._tick_s
        return loop.time()

    def wall(self) -> float:
        return WALL_AT_START_S + self._loop().time() - STARTS_AT_S

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def skip(self, seconds: float) -> None:
        """The process stands still for `seconds`; timers that were due meanwhile fire afterwards."""
        self._loop().virtual_s += seconds

    def _loop(self) -> VirtualLoop:
        assert isinstance(self._made_in, VirtualLoop)
        return self._made_in


def virtual(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test on a loop of its own; what it leaves behind is cancelled."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
