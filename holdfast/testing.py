"""Actors without Ray, for tests: real activations in this process, over a store in memory and a clock set by hand.

    from holdfast.testing import LocalActors

    async def test_insert():
        async with LocalActors() as actors:
            actor = actors.actor("alice", "main")
            await actor.sql("INSERT INTO games (name) VALUES (?)", ["final"])
            assert (await actor.sql("SELECT name FROM games")).rows == [["final"]]
            await actors.restart()                      # the host is killed; what was acknowledged is there
            assert (await actor.sql("SELECT count(*) FROM games")).rows == [[1]]

pytest finds the fixture `holdfast_actors` by itself once `holdfast.testing` is named in `pytest_plugins`.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from actors.activation import Activation, activate
from actors.call import Call, Op, Reply
from actors.durability.group_commit import GroupCommit
from actors.durability.local_disk import LocalDisk
from actors.durability.parts import Parts
from actors.errors import ActivationEnded
from actors.settings import ActorSettings
from storage.clock import Clock
from storage.errors import HoldfastError
from storage.layout.address import Address
from storage.objects.memory import MemoryStore
from storage.objects.port import ObjectStore

ENV = "dev"
ATTEMPTS_MAX = 3


class FakeClock:
    """Both clocks stand still until `advance`. A sleeper wakes when its time has come."""

    def __init__(self, *, wall: float = 1_700_000_000.0) -> None:
        self._now = 1000.0
        self._wall = wall
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + seconds, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, and whoever waited for less go on."""
        self._now += seconds
        self._wall += seconds
        due = [future for at, future in self._sleepers if at <= self._now]
        self._sleepers = [(at, future) for at, future in self._sleepers if at > self._now]
        for future in due:
            if not future.done():
                future.set_result(None)
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """One statement's answer, as the REST interface gives it."""

    columns: list[str]
    rows: list[list[Any]]
    changes: int
    last_insert_rowid: int | None
    bookmark: str


class LocalActors:
    """A host in this process: activates addresses on demand. Also a router (see `gateway.router`)."""

    def __init__(
        self,
        *,
        store: ObjectStore | None = None,
        clock: Clock | None = None,
        settings: ActorSettings | None = None,
        seed: int = 0,
    ) -> None:
        self.clock = clock or FakeClock()
        self.store = store or MemoryStore(self.clock)
        self.settings = settings or ActorSettings(ownership="single_machine")
        self._folder = Path(tempfile.mkdtemp(prefix="holdfast-"))
        self._disk = LocalDisk(self._folder)
        self._rng = random.Random(seed)
        self._parts = self._new_parts()
        self._live: dict[Address, Activation] = {}
        self._locks: dict[Address, asyncio.Lock] = {}

    async def __aenter__(self) -> LocalActors:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def actor(self, user: str, profile: str = "main") -> LocalActor:
        """A handle on one address."""
        return LocalActor(self, Address.parse(user, profile))

    async def activation(self, address: Address) -> Activation:
        """The live instance of an address, started if need be."""
        async with self._locks.setdefault(address, asyncio.Lock()):
            live = self._live.get(address)
            if live is None or live.ended.done():
                live = self._live[address] = await activate(address, self._parts)
            return live

    async def call(
        self,
        address: Address,
        op: Op,
        args: Mapping[str, object],
        body: bytes = b"",
        *,
        stream: AsyncIterator[bytes] | None = None,
    ) -> Reply:
        """One call to an actor: the router's port."""
        for attempt in range(ATTEMPTS_MAX):
            activation = await self.activation(address)
            answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            activation.submit(Call(op, args, body, partial(_tell, answer), partial(_fail, answer), stream))
            try:
                return await answer
            except ActivationEnded:
                if attempt == ATTEMPTS_MAX - 1:
                    raise
                await asyncio.sleep(0)
        raise AssertionError("unreachable")

    async def restart(self) -> None:
        """Kill every activation, as a killed process would: only what was made durable is left."""
        for activation in list(self._live.values()):
            await activation.kill()
        self._live.clear()
        self._parts = self._new_parts()

    async def close(self) -> None:
        """Release every activation and remove the local state."""
        for activation in list(self._live.values()):
            if not activation.ended.done():
                try:
                    await activation.release()
                except HoldfastError:
                    await activation.kill()
        self._live.clear()
        self._disk.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _new_parts(self) -> Parts:
        return Parts(
            store=self.store,
            disk=self._disk,
            clock=self.clock,
            rng=self._rng,
            env=ENV,
            settings=self.settings,
            group_commit=GroupCommit(self.clock),
            host="in process",
        )


def _tell(answer: asyncio.Future[Reply], reply: Reply) -> None:
    """Whoever asked may have been called off meanwhile."""
    if not answer.done():
        answer.set_result(reply)


def _fail(answer: asyncio.Future[Reply], error: HoldfastError) -> None:
    if not answer.done():
        answer.set_exception(error)


@dataclass(frozen=True, slots=True)
class LocalActor:
    """A handle on one address of a `LocalActors`."""

    actors: LocalActors
    address: Address

    async def sql(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None, **args: object) -> SqlAnswer:
        """Run one statement. `args`: durability, idempotency_key, shape. Raises HoldfastError."""
        body = msgspec.json.encode({"sql": sql, "params": params} if params is not None else {"sql": sql})
        reply = await self.actors.call(self.address, Op.SQL, args, body)
        answer = msgspec.json.decode(reply.body)
        return SqlAnswer(**answer["results"][-1], bookmark=answer["bookmark"])

    async def status(self) -> dict[str, Any]:
        """Positions, sizes and lags."""
        answer: dict[str, Any] = msgspec.json.decode((await self.actors.call(self.address, Op.STATUS, {})).body)
        return answer

    async def flush(self) -> None:
        """Wait until everything committed so far is in the store."""
        await self.actors.call(self.address, Op.FLUSH, {})


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[LocalActors]:
    """`LocalActors(**options)`, closed at the end."""
    actors = LocalActors(**options)
    try:
        yield actors
    finally:
        await actors.close()


def pytest_configure(config: Any) -> None:
    """pytest's hook: register the fixture without making pytest a dependency of the package."""
    import pytest

    class Plugin:
        @pytest.fixture
        def holdfast_actors(self) -> Any:
            """A factory of `LocalActors`: `async with holdfast_actors() as actors`."""
            return running

    config.pluginmanager.register(Plugin(), "holdfast-actors")
