"""What the tests of migration begin with: a bucket, a gateway with both modes, actors in process, a driver.

    scene = Scene()                                  in virtual time (tests.actors.virtual_time)
    await scene.write(1)                             through the gateway, wherever the user is served
    await scene.migrate()                            another driver each time
    assert await scene.numbers() == [1]
    await scene.close()

`HookedStore` lets something happen at the Nth call of whoever uses it: a kill, or a whole other request.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import apsw
import msgspec

from actors.call import Op
from actors.durability.offload import inline
from actors.r2mode.router import R2Router
from actors.settings import ActorSettings, DatabaseSettings
from gateway.modes import ModeParts, ModeRouter
from holdfast.testing import LocalActors
from migrate.decision import Goal
from migrate.parts import MigrationParts
from migrate.rules import MigrationRules
from migrate.settings import MigrationSettings
from migrate.user_migration import UserMigration, UserOutcome
from storage.clock import Clock
from storage.errors import HoldfastError
from storage.flags.bucket import BucketFlags
from storage.flags.cache import FlagCache
from storage.flags.flag import ServedMode
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.objects.memory import MemoryStore
from storage.objects.port import ObjectStore
from storage.r2_sqlite.file_state import FileState, read_state
from storage.r2_sqlite.files import R2Files
from storage.r2_sqlite.settings import R2ModeSettings
from storage.rollout.store import RolloutCache, RolloutStore
from tests.actors.virtual_time import VirtualClock

ENV = "dev"
USER = "alice"
PROFILE = "main"
ADDRESS = Address(USER, PROFILE)
PAGE_SIZE = 512
CALLS = frozenset({"get", "head", "put", "delete", "list", "copy", "open"})


class Killed(BaseException):
    """The process of whoever made the call has ended."""


class HookedStore:
    """A store that awaits `hook` at its `at`-th call, before or after that call is carried out; with `only`, at its
    `at`-th call of that name. `calls` counts."""

    def __init__(
        self,
        inner: ObjectStore,
        *,
        at: int = 0,
        after: bool = False,
        only: str = "",
        hook: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._inner = inner
        self._at = at
        self._after = after
        self._only = only
        self._hook = hook or _kill
        self.calls = 0

    @property
    def passed(self) -> bool:
        """Whether the hooked call was reached."""
        return self.calls >= self._at

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in CALLS or (self._only and name != self._only):
            return method
        if name == "open":
            return self._open

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._before()
            try:
                return await method(*args, **kwargs)
            finally:
                await self._behind()

        return call

    @asynccontextmanager
    async def _open(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        await self._before()
        async with self._inner.open(*args, **kwargs) as stream:
            await self._behind()
            yield stream

    async def _before(self) -> None:
        self.calls += 1
        if self.calls == self._at and not self._after:
            await self._hook()

    async def _behind(self) -> None:
        if self.calls == self._at and self._after:
            await self._hook()


async def _kill() -> None:
    raise Killed


@dataclass(slots=True)
class Told:
    """What a gateway tells of how a call was served."""

    mode: str = ""
    mode_reason: str = ""


@dataclass
class Scene:
    """See the module. `store` is what everybody shares."""

    clock: Clock = field(default_factory=VirtualClock)
    store: Any = None
    settings: ActorSettings = field(
        default_factory=lambda: ActorSettings(
            ownership="single_machine", database=DatabaseSettings(page_size=PAGE_SIZE, database_bytes_max=1 << 20)
        )
    )
    migration: MigrationSettings = field(default_factory=MigrationSettings)

    def __post_init__(self) -> None:
        self.store = self.store or MemoryStore(self.clock)
        self.rng = random.Random(7)
        self.actors = LocalActors(store=self.store, clock=self.clock, settings=self.settings)
        self.flags = BucketFlags(self.store, ENV)
        self.router = self.gateway()
        self._runs = 0

    async def close(self) -> None:
        await self.actors.close()

    def gateway(self, store: ObjectStore | None = None) -> ModeRouter:
        """A gateway of its own, with what it remembers."""
        files = R2Files(
            store or self.store,
            ENV,
            clock=self.clock,
            rng=self.rng,
            settings=R2ModeSettings(save_interval_s=0.0),
            offload=inline,
        )
        rollouts = RolloutStore(self.store, ENV, clock=self.clock, rng=self.rng)
        parts = ModeParts(
            files=R2Router(files, settings=self.settings, file_bytes_max=1 << 20, clock=self.clock),
            flags=FlagCache(self.flags, self.clock, ttl_s=30.0, users_max=100),
            rollouts=RolloutCache(rollouts, self.clock, ttl_s=30.0),
            new_users=ServedMode.R2,
        )

        async def default_of(user: str) -> str:
            return PROFILE

        return ModeRouter(parts, self.actors, default_of)

    # ---- what clients do

    async def sql(
        self,
        sql: str,
        params: Sequence[object] = (),
        *,
        address: Address = ADDRESS,
        router: ModeRouter | None = None,
        **args: object,
    ) -> dict[str, Any]:
        """One statement through a gateway; the last result."""
        body = msgspec.json.encode({"sql": sql, "params": list(params)} if params else {"sql": sql})
        reply = await (router or self.router).call(Told(), address, Op.SQL, args, body)
        result: dict[str, Any] = msgspec.json.decode(reply.body)["results"][-1]
        return result

    async def write(self, number: int, **options: Any) -> None:
        await self.sql("INSERT INTO t (n) VALUES (?)", [number], **options)

    async def numbers(self, **options: Any) -> list[int]:
        return [row[0] for row in (await self.sql("SELECT n FROM t ORDER BY rowid", **options))["rows"]]

    async def served(self, address: Address = ADDRESS) -> str:
        """The mode that a gateway without memory reports."""
        told = Told()
        await self.gateway().call(told, address, Op.STATUS, {})
        return told.mode

    async def put_file(self, body: bytes, address: Address = ADDRESS) -> None:
        """A file as some older program left it."""
        await self.store.put(database_key(ENV, address), body)

    # ---- the file and the driver

    async def file(self, address: Address = ADDRESS) -> bytes:
        body: bytes = (await self.store.get(database_key(ENV, address))).body
        return body

    async def state(self, address: Address = ADDRESS) -> FileState:
        return read_state(await self.file(address))

    async def release(self, address: Address) -> None:
        """The driver's door to the actors."""
        await self.actors.call(address, Op.RELEASE, {})

    def parts(self, store: Any = None, rules: MigrationRules | None = None) -> MigrationParts:
        """A driver's; another run each time."""
        self._runs += 1
        driver_store = store or self.store
        return MigrationParts(
            store=driver_store,
            env=ENV,
            clock=self.clock,
            rng=random.Random(self._runs),
            flags=BucketFlags(driver_store, ENV),
            actors=self,
            database=self.settings.database,
            settings=self.migration,
            offload=inline,
            rules=rules or MigrationRules(),
            run=f"run-{self._runs}",
            by="a test",
        )

    async def migrate(self, store: Any = None, **options: Any) -> UserOutcome:
        return await UserMigration(self.parts(store), USER, Goal.ACTOR).run(**options)

    async def roll_back(self, store: Any = None, **options: Any) -> UserOutcome:
        return await UserMigration(self.parts(store), USER, Goal.R2).run(**options)


def a_file(*statements: str, page_size: int = PAGE_SIZE, wal: bool = False) -> bytes:
    """A file of before: table `t`, and whatever `statements` make."""
    connection = apsw.Connection(":memory:")
    try:
        connection.execute(f"PRAGMA page_size = {page_size}; CREATE TABLE t (n INTEGER)")
        for statement in statements:
            connection.execute(statement)
        body = connection.serialize("main")
    finally:
        connection.close(True)
    return body[:18] + b"\x02\x02" + body[20:] if wal else body


async def begun(*numbers: int, **options: Any) -> Scene:
    """A scene whose user is in r2 mode and has written `numbers`."""
    scene = Scene(**options)
    await scene.put_file(a_file())
    for number in numbers:
        await scene.write(number)
    return scene


async def tried(work: Awaitable[None]) -> HoldfastError | None:
    """What a request ended with: None for an answer."""
    try:
        await work
    except HoldfastError as error:
        return error
    return None


def reasons(outcome: UserOutcome) -> Mapping[str, str]:
    """Why profiles were quarantined, by one word each."""
    return {profile: text.partition(":")[0] for profile, text in outcome.reasons.items()}
