"""A small activation for tests of hosting: answers what it is told to, keeps nothing but a list of what it ran.

Ops: SQL echoes its body (args: `fail` a code, `hold` until released, `stream` chunks, `size` bytes of answer); IMPORT
counts its stream; EXPORT streams `chunks` pieces of `size` bytes; STATUS says who and where it is; RELEASE ends it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, cast

import msgspec

from actors.call import Call, Op, Reply
from actors.errors import ActivationEnded, ActorError, Moved, Overloaded
from actors.hosting.live import PassEnd
from storage.clock import Clock, SystemClock
from storage.errors import HoldfastError
from storage.layout.address import Address

ERRORS: Mapping[str, type[HoldfastError]] = {"moved": Moved, "overloaded": Overloaded, "ended": ActivationEnded}


class EchoActivation:
    """See the module."""

    def __init__(self, address: Address, clock: Clock, *, memory_bytes: int = 1000, life: str = "") -> None:
        self.address = address
        self.memory_bytes = memory_bytes
        self.life = life
        self.clock = clock
        self.last_used = clock.now()
        self.busy = False
        self.ended: asyncio.Future[HoldfastError | None] = asyncio.get_running_loop().create_future()
        self.ran: list[bytes] = []
        self.held: list[Call] = []
        self.streams_closed = 0
        self.imported: list[int] = []
        self.releases = 0
        self.kills = 0
        self.release_with: Callable[[], object] | None = None
        self.may_release = asyncio.Event()
        self.may_release.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, call: Call) -> None:
        self.last_used = self.clock.now()
        self.ran.append(call.body[:100])
        if len(self.ran) > 1000:
            self.ran.clear()
        if call.op is Op.SQL:
            self._sql(call)
        elif "hold" in call.args:
            self.held.append(call)
        elif call.op is Op.EXPORT:
            call.reply(Reply(stream=self._pieces(call), content_type="application/octet-stream"))
        elif call.op is Op.IMPORT:
            self._start(self._import(call))
        elif call.op is Op.STATUS:
            status = {"address": str(self.address), "pid": os.getpid(), "life": self.life}
            call.reply(Reply(body=msgspec.json.encode(status)))
        elif call.op is Op.RELEASE:
            call.reply(Reply(body=b"{}"))
            self.end(None)
        else:
            call.fail(ActorError(f"echo does not know {call.op}"))

    def _sql(self, call: Call) -> None:
        if "fail" in call.args:
            call.fail(ERRORS[cast(str, call.args["fail"])]("as asked", retry_after_s=0.5, details={"asked": True}))
        elif "hold" in call.args:
            self.held.append(call)
            self.busy = True
        elif "size" in call.args:
            call.reply(Reply(body=bytes(cast(int, call.args["size"]))))
        elif "exit" in call.args:
            os._exit(cast(int, call.args["exit"]))
        else:
            call.reply(Reply(body=call.body, headers={"holdfast-echo": "1"}))

    def let_go(self) -> None:
        """Answer everything held."""
        held, self.held = self.held, []
        self.busy = False
        for call in held:
            call.reply(Reply(body=call.body))

    async def _pieces(self, call: Call) -> AsyncIterator[bytes]:
        try:
            for number in range(cast(int, call.args["chunks"])):
                if number == call.args.get("break_at"):
                    raise ActorError("the stream broke as asked")
                yield bytes([number % 256]) * cast(int, call.args["size"])
        finally:
            self.streams_closed += 1

    async def _import(self, call: Call) -> None:
        assert call.stream is not None
        total = 0
        try:
            async for chunk in call.stream:
                total += len(chunk)
                self.imported.append(len(chunk))
        except HoldfastError as error:
            call.fail(error)
            return
        call.reply(Reply(body=b"%d" % total))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end(self, error: HoldfastError | None) -> None:
        """As if fenced or broken (`error`), or released (None)."""
        if not self.ended.done():
            self.ended.set_result(error)

    async def release(self) -> None:
        self.releases += 1
        await self.may_release.wait()
        if self.release_with is not None:
            self.release_with()
        self.end(None)

    async def kill(self) -> None:
        self.kills += 1
        self.end(None)

    def interrupt(self) -> None:
        """Nothing runs here that could be interrupted."""


class EchoSource:
    """Makes echoes: the ActivationSource of hosts in tests. `config` may hold `memory_bytes`."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self._config = config
        self._clock = SystemClock()
        self.made: list[EchoActivation] = []

    async def activate(self, address: Address, on_pass_end: PassEnd) -> EchoActivation:
        activation = EchoActivation(
            address,
            self._clock,
            memory_bytes=int(cast(int, self._config.get("memory_bytes", 1000))),
            life=str(os.getpid()),
        )
        self.made.append(activation)
        return activation

    async def close(self) -> None:
        pass


def open_echoes(config: Mapping[str, object]) -> EchoSource:
    """The source by name, as a host's configuration gives it."""
    return EchoSource(config)
