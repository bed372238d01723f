"""Who lives on this host: from an address to its activation, started on demand, ended when idle, broken or in the way.

Calls for one address share one activation and its start; they wait in its inbox meanwhile. What fails to start answers
those who wait, and for a short time those who come (actors.hosting.backoff): a corrupt log of one address neither
hammers the bucket nor touches another. An activation that ended, for whatever reason, is forgotten at once, and the
next call starts afresh. The decisions who leaves are in actors.hosting.eviction; this file carries them out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final

from actors.call import Call
from actors.errors import ActivationEnded, ActorError, HostFull, InR2Mode, NotInActorMode, Overloaded
from actors.hosting.backoff import FailureBackoff
from actors.hosting.eviction import Occupant, plan_idle_eviction, plan_room
from actors.hosting.inbox import OVERLOADED_RETRY_AFTER_S, Inbox
from actors.hosting.live import Interruptible, LiveActivation
from actors.hosting.resident import Resident, Stage
from actors.hosting.scheduler import Scheduler
from actors.hosting.settings import HostSettings
from storage.clock import Clock
from storage.errors import HoldfastError
from storage.layout.address import Address

HOST_FULL_RETRY_AFTER_S: Final = 5.0
SETTLED_AFTER_S: Final = 60.0
# Told to those who waited, and to nobody after them: a file's state changes from one moment to the next.
NOT_REMEMBERED: Final = (HostFull, ActivationEnded, InR2Mode, NotInActorMode)
_log = logging.getLogger(__name__)


class Catalog:
    """See the module. `activate(address)` claims, recovers and returns a serving activation or raises HoldfastError."""

    def __init__(
        self,
        activate: Callable[[Address], Awaitable[LiveActivation]],
        scheduler: Scheduler,
        clock: Clock,
        settings: HostSettings,
    ) -> None:
        self._activate, self._scheduler, self._clock, self._settings = activate, scheduler, clock, settings
        self._residents: dict[Address, Resident] = {}
        self._held_bytes = 0
        self._backoff = FailureBackoff(first_s=settings.backoff_first_s, max_s=settings.backoff_max_s)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._coming = 0
        self._coming_slots = asyncio.Semaphore(settings.activations_at_once)
        self._leaving_slots = asyncio.Semaphore(settings.releases_at_once)
        self._draining = False

    def submit(self, address: Address, call: Call) -> None:
        """Run `call` on the activation of `address`, starting one if need be. Never blocks; answers through `call`."""
        resident = self._residents.get(address)
        if resident is None:
            refusal = self._refusal(address)
            if refusal is not None:
                call.fail(refusal)
                return
            resident = self._welcome(address)
        self._scheduler.put(resident.inbox, call)

    def start(self) -> None:
        """Begin to look for the idle every `sweep_interval_s`."""
        self._spawn(self._sweep_for_ever(), "sweep")

    async def drain(self) -> list[Address]:
        """Take no more calls and release everybody, `releases_at_once` at a time. Returns those that had to be killed
        (their journals keep what was not shipped). Starts under way are called off."""
        self._draining = True
        unreleased: list[Address] = []
        try:
            async with asyncio.timeout(self._settings.drain_timeout_s):
                while self._residents:
                    residents = list(self._residents.values())
                    for resident in residents:
                        if resident.stage is Stage.COMING and resident.task is not None:
                            resident.task.cancel()
                    under_way = [resident.task for resident in residents if resident.task is not None]
                    under_way += [self._let_go(resident) for resident in residents if resident.stage is Stage.LIVE]
                    results = await asyncio.gather(*under_way, return_exceptions=True)
                    unreleased += [result for result in results if isinstance(result, Address)]
        except TimeoutError:
            unreleased += list(self._residents)
            await self._kill_all()
        return unreleased

    async def close(self) -> None:
        """End whatever is left without releasing it, and every task."""
        self._draining = True
        await self._kill_all()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def is_inhabited(self) -> bool:
        """Somebody lives here, comes or leaves."""
        return bool(self._residents)

    def interrupt(self, address: Address) -> None:
        """From any thread: end the statement that runs for `address`, if its activation can do that."""
        resident = self._residents.get(address)
        activation = None if resident is None else resident.activation
        if isinstance(activation, Interruptible):
            activation.interrupt()

    def status(self) -> dict[str, int]:
        """Numbers for status answers and metrics."""
        stages = [resident.stage for resident in self._residents.values()]
        return {
            "activations": stages.count(Stage.LIVE),
            "coming": stages.count(Stage.COMING),
            "leaving": stages.count(Stage.LEAVING),
            "memory_bytes": self._held_bytes,
            "calls": sum(resident.inbox.open_calls for resident in self._residents.values()),
        }

    # --- coming -------------------------------------------------------------------------------------------------

    def _refusal(self, address: Address) -> HoldfastError | None:
        if self._draining:
            return ActivationEnded(f"{address} was not run: this host is draining")
        if self._coming >= self._settings.activating_max:
            return Overloaded(
                f"{self._coming} activations are starting, at most {self._settings.activating_max}",
                retry_after_s=OVERLOADED_RETRY_AFTER_S,
            )
        return self._backoff.refuse(address, self._clock.now())

    def _welcome(self, address: Address) -> Resident:
        s = self._settings
        inbox = Inbox(
            address, calls_max=s.inbox_calls_max, bytes_max=s.inbox_bytes_max, waiting_max=s.waiting_calls_max
        )
        resident = Resident(address, inbox, self._clock.now())
        self._residents[address] = resident
        self._come(resident)
        return resident

    def _come(self, resident: Resident) -> None:
        resident.stage = Stage.COMING
        self._coming += 1
        task = self._spawn(self._bring_up(resident), f"activate {resident.address}")
        task.add_done_callback(lambda task: self._on_came(resident, task))
        resident.task = task

    async def _bring_up(self, resident: Resident) -> None:
        async with self._coming_slots:
            await self._make_room(self._settings.activation_bytes_estimate)
            await self._settle_in(resident, await self._activate(resident.address))

    def _on_came(self, resident: Resident, task: asyncio.Task[None]) -> None:
        """The start of `resident` is over, also when it was called off before its first step."""
        self._coming -= 1
        if task.cancelled():
            self._fail_to_come(resident, ActivationEnded(f"{resident.address} was not run: this host is ending"))
            return
        error = task.exception()
        if isinstance(error, HoldfastError):
            self._fail_to_come(resident, error)
        elif error is not None:
            _log.error("activation of %s failed unexpectedly", resident.address, exc_info=error)
            self._fail_to_come(resident, ActorError(f"activation of {resident.address} failed: {error!r}"))

    async def _settle_in(self, resident: Resident, activation: LiveActivation) -> None:
        """Serve with `activation`, if the budget holds it."""
        try:
            await self._make_room(activation.memory_bytes)
        except HostFull:
            await self._release(activation)
            raise
        except asyncio.CancelledError:
            await activation.kill()
            raise
        resident.activation, resident.stage, resident.since = activation, Stage.LIVE, self._clock.now()
        resident.task = None
        resident.memory_bytes = activation.memory_bytes
        self._held_bytes += resident.memory_bytes
        activation.ended.add_done_callback(lambda _ended: self._on_ended(resident, activation))
        self._scheduler.open(resident.inbox, activation.submit)

    def _fail_to_come(self, resident: Resident, error: HoldfastError) -> None:
        self._residents.pop(resident.address, None)
        if not isinstance(error, NOT_REMEMBERED):
            self._backoff.record(resident.address, error, self._clock.now())
            _log.warning("activation of %s failed: %s: %s", resident.address, error.code, error.message)
        resident.inbox.refuse_waiting(error)

    async def _make_room(self, needed_bytes: int) -> None:
        """Let the least recently used idle ones go until `needed_bytes` fit. Raises HostFull.

        The sum that usually decides is the last measured one plus who came since; only when it does not fit are all
        counted again."""
        budget = self._settings.memory_bytes_max
        if self._held_bytes + needed_bytes <= budget:
            return
        occupants = self._count()
        held = self._held_bytes
        plan = plan_room(occupants, needed_bytes=needed_bytes, held_bytes=held, memory_bytes_max=budget)
        if plan is None:
            raise HostFull(
                f"{needed_bytes} bytes more than the {held} held by {len(occupants)} activations in use: the budget is "
                f"{budget} bytes",
                retry_after_s=HOST_FULL_RETRY_AFTER_S,
            )
        await self._let_all_go(plan)

    def _count(self) -> list[Occupant]:
        occupants = [o for resident in self._residents.values() if (o := resident.occupant()) is not None]
        leaving = sum(r.memory_bytes for r in self._residents.values() if r.stage is Stage.LEAVING)
        self._held_bytes = sum(occupant.memory_bytes for occupant in occupants) + leaving
        return occupants

    # --- leaving ------------------------------------------------------------------------------------------------

    async def _sweep_for_ever(self) -> None:
        while True:
            await self._clock.sleep(self._settings.sweep_interval_s)
            try:
                await self._sweep(self._clock.now())
            except HostFull as error:
                _log.warning("over the memory budget and nobody is idle: %s", error.message)
            except Exception:
                _log.exception("looking for idle activations failed")

    async def _sweep(self, now: float) -> None:
        for resident in self._residents.values():
            if resident.stage is Stage.LIVE and now - resident.since >= SETTLED_AFTER_S:
                self._backoff.clear(resident.address)
        await self._let_all_go(plan_idle_eviction(self._count(), now=now, idle_evict_s=self._settings.idle_evict_s))
        await self._make_room(0)

    async def _let_all_go(self, addresses: Iterable[Address]) -> None:
        residents = [resident for address in addresses if (resident := self._residents.get(address)) is not None]
        await asyncio.gather(*[self._let_go(resident) for resident in residents if resident.stage is Stage.LIVE])

    def _let_go(self, resident: Resident) -> asyncio.Task[Address | None]:
        """Begin to release one; calls that come from now on wait in its inbox and start it afresh. The task's result is
        its address if it had to be killed."""
        activation = resident.activation
        assert activation is not None, f"{resident.address} is live without an activation"
        resident.stage = Stage.LEAVING
        self._scheduler.close(resident.inbox)
        task = self._spawn(self._finish(resident, activation), f"release {resident.address}")
        resident.task = task
        return task

    async def _finish(self, resident: Resident, activation: LiveActivation) -> Address | None:
        async with self._leaving_slots:
            released = await self._release(activation)
        self._depart(resident, activation, None)
        return None if released else resident.address

    async def _release(self, activation: LiveActivation) -> bool:
        try:
            async with asyncio.timeout(self._settings.release_timeout_s):
                await activation.release()
                return True
        except (HoldfastError, TimeoutError) as error:
            _log.warning("release of %s failed, it is ended without: %r", activation.address, error)
        except Exception:
            _log.exception("release of %s failed unexpectedly", activation.address)
        await activation.kill()
        return False

    def _on_ended(self, resident: Resident, activation: LiveActivation) -> None:
        if resident.activation is not activation or resident.stage is Stage.LEAVING:
            return
        error = None if activation.ended.cancelled() else activation.ended.result()
        now = self._clock.now()
        if error is not None:
            _log.warning("activation of %s ended: %s: %s", resident.address, error.code, error.message)
            if now - resident.since < SETTLED_AFTER_S:
                again = ActivationEnded(f"{resident.address} was not run, its activation ended: {error.message}")
                self._backoff.record(resident.address, again, now)
        self._depart(resident, activation, error)

    def _depart(self, resident: Resident, activation: LiveActivation, error: HoldfastError | None) -> None:
        """Forget the activation. What waits did not run: it is told so after an error, else served by a fresh one."""
        if resident.activation is not activation:
            return
        resident.activation, resident.task = None, None
        self._held_bytes = max(0, self._held_bytes - resident.memory_bytes)
        self._scheduler.close(resident.inbox)
        if error is None and resident.inbox.waiting and not self._draining:
            self._come(resident)
            return
        self._residents.pop(resident.address, None)
        why = "it was released" if error is None else error.message
        resident.inbox.refuse_waiting(ActivationEnded(f"{resident.address} was not run, its activation ended: {why}"))

    async def _kill_all(self) -> None:
        for resident in list(self._residents.values()):
            activation = resident.activation
            if activation is not None:
                resident.stage = Stage.LEAVING
                await activation.kill()
                self._depart(resident, activation, None)

    def _spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
