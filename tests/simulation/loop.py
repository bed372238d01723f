"""A deterministic asyncio event loop: one thread, virtual time, a seeded choice of who runs next.

Every handle belongs to a `Process`, found through the context it was scheduled in. Within a process the order is
asyncio's own (first in, first out); between processes it is drawn from the seed. A process can be paused (none of its
handles run, its timers wait) and killed (none ever runs again; its coroutines are thrown away without running).
Nothing here knows of stores or actors. No selector, no threads, no real time: what would need them raises.

The loop ends with `Deadlock` when nothing is ready and no timer is left, with `Exhausted` past its bounds.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import random
import sys
from asyncio import events
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from tests.simulation.process import Process, ProcessDead

current_process: contextvars.ContextVar[Process] = contextvars.ContextVar("current_process")


class Deadlock(AssertionError):
    """Nothing is ready, nothing is scheduled, and the simulation has not ended."""


class Exhausted(AssertionError):
    """More steps or more virtual seconds than a run may take."""


class SimLoop(asyncio.AbstractEventLoop):
    """See the module. `world` is the process of everything that is not under test: store, network, clients."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._time = 0.0
        self._timers: list[tuple[float, int, events.TimerHandle, Process]] = []
        self._timer_count = 0
        self._runnable: list[Process] = []
        self._tasks: list[tuple[asyncio.Task[Any], Process]] = []
        self._generators: list[AsyncGenerator[Any, Any]] = []
        self._closed = False
        self.steps = 0
        self.digest = 0
        self.unhandled: list[str] = []
        self.world = Process(0, "world")
        self.world_context = self.context_of(self.world)

    # ---- processes

    @staticmethod
    def context_of(process: Process) -> contextvars.Context:
        """A fresh context whose handles belong to `process`."""
        context = contextvars.copy_context()
        context.run(current_process.set, process)
        return context

    def pause(self, process: Process, seconds: float) -> None:
        """Let none of the process's handles run for so many virtual seconds (longer pauses win)."""
        until = self._time + seconds
        if process.dead or until <= process.paused_until:
            return
        process.paused_until = until
        process.pause_mark = len(process.queue)
        if process in self._runnable:
            self._runnable.remove(process)
        self.world_at(until, self._resume, process)

    def wake(self, process: Process) -> None:
        """End a pause early."""
        if process.paused_until and not process.dead:
            process.paused_until = self._time
            self._resume(process)

    def kill(self, process: Process) -> None:
        """Run nothing of it ever again."""
        process.dead = True
        process.queue.clear()
        if process in self._runnable:
            self._runnable.remove(process)

    def _resume(self, process: Process) -> None:
        if process.dead or not process.paused_until or self._time < process.paused_until:
            return
        process.paused_until = 0.0
        _reorder_arrivals(process, timers_first=self._rng.random() < 0.5)
        if process.queue and process not in self._runnable:
            self._runnable.append(process)

    # ---- scheduling

    def time(self) -> float:
        return self._time

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> events.Handle:
        if context is None:
            context = contextvars.copy_context()
        handle = events.Handle(callback, args, self, context)
        process = context.get(current_process, self.world)
        if not self._closed:
            self._enqueue(process, handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> events.TimerHandle:
        return self.call_at(self._time + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> events.TimerHandle:
        if context is None:
            context = contextvars.copy_context()
        handle = events.TimerHandle(when, callback, args, self, context)
        if not self._closed:
            self._timer_count += 1
            process = context.get(current_process, self.world)
            heapq.heappush(self._timers, (when, self._timer_count, handle, process))
            handle._scheduled = True  # type: ignore[attr-defined]
        return handle

    def world_at(self, when: float, callback: Callable[..., object], *args: Any) -> events.TimerHandle:
        """Schedule something of the world: it runs whatever becomes of the process that asked."""
        return self.call_at(when, callback, *args, context=self.world_context)

    def spawn(self, process: Process, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task inside a process."""
        return self.create_task(coroutine, context=self.context_of(process))

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: contextvars.Context | None = None
    ) -> asyncio.Task[Any]:
        if self._closed:
            coro.close()
            raise ProcessDead("the simulation has ended")
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        self._tasks.append((task, (context or contextvars.copy_context()).get(current_process, self.world)))
        return task

    def _enqueue(self, process: Process, handle: events.Handle) -> None:
        if process.dead:
            return
        if not process.queue and not process.paused_until and process not in self._runnable:
            self._runnable.append(process)
        process.queue.append(handle)

    # ---- running

    def run(self, main: Coroutine[Any, Any, Any], *, steps_max: int, time_max: float) -> Any:
        """Run `main` in the world until it is done, then throw everything else away."""
        hooks = sys.get_asyncgen_hooks()
        previous = events._get_running_loop()
        assert previous is None, "a simulation runs outside of any other event loop"
        events._set_running_loop(self)
        sys.set_asyncgen_hooks(firstiter=self._generators.append, finalizer=_forget)
        try:
            task = self.spawn(self.world, main)
            while not task.done():
                if self.steps > steps_max or self._time > time_max:
                    raise Exhausted(f"{self.steps} steps, {self._time:.0f} virtual seconds: {self._who_is_busy()}")
                self._step()
            return task.result()
        finally:
            self._throw_away()
            sys.set_asyncgen_hooks(*hooks)
            events._set_running_loop(None)

    def _step(self) -> None:
        runnable = self._runnable
        if not runnable:
            self._advance()
            return
        at = int(self._rng.random() * len(runnable)) if len(runnable) > 1 else 0
        process = runnable[at]
        handle = process.queue.popleft()
        if not process.queue:
            del runnable[at]
        if handle._cancelled:
            return
        self.steps += 1
        self.digest = hash((self.digest, process.number, self._time))
        handle._run()
        if process.debt:
            debt, process.debt = process.debt, 0.0
            self.pause(process, debt)
        if process.fuse > 0:
            process.fuse -= 1
            if process.fuse == 0:
                process.fire()

    def _advance(self) -> None:
        """Move time to the next timer, and hand every timer due then to its process."""
        timers = self._timers
        while timers and (timers[0][2]._cancelled or timers[0][3].dead):
            heapq.heappop(timers)
        if not timers:
            raise Deadlock(f"at {self._time:.3f} s nothing is ready and nothing is scheduled")
        self._time = max(self._time, timers[0][0])
        while timers and timers[0][0] <= self._time:
            _, _, handle, process = heapq.heappop(timers)
            handle._scheduled = False  # type: ignore[attr-defined]
            if not handle._cancelled:
                self._enqueue(process, handle)

    def _who_is_busy(self) -> str:
        return ", ".join(f"{process} has {len(process.queue)} ready" for process in self._runnable) or "only timers"

    # ---- the end

    def _throw_away(self) -> None:
        """End every coroutine that is still waiting; whatever it does on the way out meets `ProcessDead`."""
        self._closed = True
        self._timers.clear()
        for task, process in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                _discard(task.get_coro())
            elif not task.cancelled() and not process.dead and task._log_traceback:
                self._note_unhandled("a task failed and nobody asked", task.exception())
        for generator in self._generators:
            _discard_generator(generator)
        self._tasks.clear()
        self._generators.clear()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What asyncio would log: an error that nobody took in."""
        if not self._closed:
            self._note_unhandled(str(context.get("message")), context.get("exception"))

    def _note_unhandled(self, message: str, error: BaseException | None) -> None:
        if not isinstance(error, ProcessDead):
            self.unhandled.append(f"{message}: {error!r}")

    # ---- what asyncio asks of a loop

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._closed

    def is_closed(self) -> bool:
        return self._closed

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        """Cancelled timers are dropped when their time comes."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        raise AssertionError("a simulated process may not use threads: go through a port")

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> events.Handle:
        return self.call_soon(callback, *args, context=context)


def make_loop(rng: random.Random) -> SimLoop:
    """A loop that draws its choices from `rng`. (It leaves out what no simulation needs of an event loop.)"""
    return SimLoop(rng)  # type: ignore[abstract]


def _reorder_arrivals(process: Process, *, timers_first: bool) -> None:
    """What became ready during a pause may be met timers first or answers first; both happen on a real loop."""
    ready = list(process.queue)
    before, arrived = ready[: process.pause_mark], ready[process.pause_mark :]
    timers = [handle for handle in arrived if isinstance(handle, events.TimerHandle)]
    others = [handle for handle in arrived if not isinstance(handle, events.TimerHandle)]
    process.queue = deque([*before, *timers, *others] if timers_first else [*before, *others, *timers])


CLOSE_ATTEMPTS_MAX = 20


def _discard(coroutine: Any) -> None:
    """Close a coroutine whatever it awaits or raises on the way out."""
    for _ in range(CLOSE_ATTEMPTS_MAX):
        try:
            coroutine.close()
            return
        except BaseException:
            continue


def _discard_generator(generator: AsyncGenerator[Any, Any]) -> None:
    try:
        generator.aclose().__await__().__next__()
    except BaseException:
        return


def _forget(generator: AsyncGenerator[Any, Any]) -> None:
    """The run keeps every generator until its end, so none is finalized in between."""
