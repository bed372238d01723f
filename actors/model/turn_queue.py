"""One turn at a time: calls run at once, unless a turn runs aside (in a thread, reading an upload): then they wait."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from actors.call import Call
from actors.errors import OutcomeUnknownWrite, Overloaded
from storage.errors import HoldfastError

logger = logging.getLogger(__name__)
WAITING_MAX = 4096


class TurnQueue:
    """Calls of one activation. `run` runs a call's turn; a HoldfastError from it is the call's answer."""

    def __init__(
        self, run: Callable[[Call], None], spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    ) -> None:
        self._run = run
        self._spawn = spawn
        self._waiting: deque[Call] = deque()
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def blocked(self) -> bool:
        """Whether a turn runs aside: the database may be in the middle of a change."""
        return not self._idle.is_set()

    def put(self, call: Call) -> None:
        """Run the call's turn now, or behind those that wait."""
        if not self.blocked and not self._waiting:
            self._turn(call)
        elif len(self._waiting) >= WAITING_MAX:
            call.fail(Overloaded(f"{WAITING_MAX} calls wait for a turn that takes long", retry_after_s=1.0))
        else:
            self._waiting.append(call)

    def aside(self, work: Coroutine[Any, Any, None], call: Call) -> None:
        """Run `work` while later calls wait; a failure is the call's answer."""
        self._idle.clear()
        self._spawn(work).add_done_callback(partial(self._over, call))

    async def wait_idle(self) -> None:
        """Until no turn runs aside and nothing waits behind one."""
        while self.blocked:
            await self._idle.wait()

    def refuse_all(self, error: HoldfastError) -> None:
        """Answer everything that waits: it did not run."""
        while self._waiting:
            self._waiting.popleft().fail(error)

    def _over(self, call: Call, task: asyncio.Task[None]) -> None:
        """Also for a turn that was called off before its first step."""
        if task.cancelled():
            call.fail(OutcomeUnknownWrite("the actor was ended while the call ran"))
        elif isinstance(error := task.exception(), HoldfastError):
            call.fail(error)
        elif error is not None:
            logger.error("a turn failed unexpectedly", exc_info=error)
            call.fail(HoldfastError(f"the call failed: {error!r}"))
        self._idle.set()
        while self._waiting and not self.blocked:
            self._turn(self._waiting.popleft())

    def _turn(self, call: Call) -> None:
        try:
            self._run(call)
        except HoldfastError as error:
            call.fail(error)
