"""A simulated host process: activates addresses when they are asked for, carries calls to them, tends old journals.

It stands where `actors.hosting` stands in production, in the least form that exercises an activation: calls wait while
the activation is being made, an activation that ended is made anew at the next call, and journals that nobody owns are
brought to the log now and then (rule 6). All of it runs inside the simulated process.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from actors.call import Call
from actors.errors import HostUnavailable
from storage.errors import HoldfastError
from tests.simulation.loop import SimLoop
from tests.simulation.machine import Machine
from tests.simulation.process import Process

TEND_EVERY_S = (0.1, 2.5)
WAITING_CALLS_MAX = 200


class Activated(Protocol):
    """What a host needs of an activation."""

    @property
    def ended(self) -> asyncio.Future[Any]: ...

    def submit(self, call: Call) -> None: ...

    async def release(self) -> object: ...


class Software(Protocol):
    """What runs on a host: the real activation, or a toy."""

    def activate(self, address: str) -> Awaitable[Activated]: ...

    async def tend(self, address: str) -> None: ...

    def pages(self, activation: Activated) -> dict[int, bytes] | None:
        """The owner's image, where it can be seen."""
        ...


class Host:
    """One process and its activations."""

    def __init__(
        self,
        loop: SimLoop,
        machine: Machine,
        process: Process,
        software: Software,
        addresses: tuple[str, ...],
        rng: random.Random,
        pace: float,
    ) -> None:
        self.machine = machine
        self.process = process
        self.context = loop.context_of(process)
        self.activations: dict[str, Activated] = {}
        self.outstanding: dict[int, Callable[[], None]] = {}
        self.draining = False
        self._loop = loop
        self.software = software
        self.pace = pace
        self._addresses = addresses
        self._rng = rng
        self._waiting: dict[str, list[Call]] = {}
        self._busy = {address: asyncio.Lock() for address in addresses}

    @property
    def alive(self) -> bool:
        return not self.process.dead

    def start(self) -> None:
        """Begin the host's own work."""
        self._loop.spawn(self.process, self._tend())

    def within(self, callback: Callable[..., object], *args: object) -> None:
        """Run something inside the process, soon."""
        self._loop.call_soon(callback, *args, context=self.context)

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return self._loop.spawn(self.process, coroutine)

    # ---- inside the process

    def accept(self, address: str, call: Call) -> None:
        """A call has arrived."""
        activation = self.activations.get(address)
        if activation is not None:
            activation.submit(call)
        elif self.draining:
            call.fail(HostUnavailable(f"host {self.process.name} is draining"))
        elif address in self._waiting:
            if len(self._waiting[address]) >= WAITING_CALLS_MAX:
                call.fail(HostUnavailable(f"host {self.process.name}: too many calls wait"))
            else:
                self._waiting[address].append(call)
        else:
            self._waiting[address] = [call]
            self.spawn(self._activate(address))

    def wake(self, address: str) -> None:
        """Activate without being asked by a client."""
        if address not in self.activations and address not in self._waiting and not self.draining:
            self._waiting[address] = []
            self.spawn(self._activate(address))

    async def _activate(self, address: str) -> None:
        try:
            async with self._busy[address]:
                activation = await self.software.activate(address)
        except HoldfastError as error:
            for call in self._waiting.pop(address):
                call.fail(HostUnavailable(f"activation of {address}: {error}"))
            return
        self.activations[address] = activation
        activation.ended.add_done_callback(lambda _: self.activations.pop(address, None))
        if activation.ended.done():
            self.activations.pop(address, None)
        for call in self._waiting.pop(address):
            activation.submit(call)

    async def release(self, address: str) -> None:
        """Give one address up cleanly."""
        activation = self.activations.get(address)
        if activation is not None:
            try:
                await activation.release()
            except HoldfastError:
                return

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(self._rng.uniform(*TEND_EVERY_S) * self.pace)
            for address in self._addresses:
                if address not in self.activations and address not in self._waiting:
                    try:
                        async with self._busy[address]:
                            await self.software.tend(address)
                    except HoldfastError:
                        continue

    def __repr__(self) -> str:
        return self.process.name
