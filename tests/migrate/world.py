"""One address that is moved to and fro while clients write: gateways with stale flags, drivers that are killed, a host
that crashes, a bucket that loses answers; all of it in the simulator's loop, from one seed.

The hosts run the real activation, the gateways the real r2 mode, the drivers the real migration. What clients were told
is judged at once: a read must hold every write that was acknowledged before it was sent, and none twice. In the end the
troubles stop, and whatever was begun has to come to its end.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import apsw
import msgspec

from actors.activation import Activation, activate
from actors.call import Call, Durability, Op, Reply
from actors.durability.draining import drain_address
from actors.durability.group_commit import GroupCommit
from actors.durability.offload import inline
from actors.durability.parts import Parts
from actors.durability.rules import Rules
from actors.errors import (
    ActivationEnded,
    AddressLocked,
    HostUnavailable,
    InR2Mode,
    Moved,
    NotInActorMode,
    OutcomeUnknownWrite,
)
from actors.model.birth import template_image
from actors.r2mode.router import R2Router
from actors.settings import ActorSettings, DatabaseSettings
from migrate.decision import Goal, Step
from migrate.finalization import Finalization
from migrate.mover import Look, Mover, Witness
from migrate.parts import MigrationParts
from migrate.rules import MigrationRules
from migrate.settings import MigrationSettings
from migrate.user_migration import UserMigration
from storage.errors import CorruptObject, HoldfastError, LogGap, ObjectNotFound
from storage.flags.bucket import BucketFlags
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.r2_sqlite.errors import FileMissing, FileMoved
from storage.r2_sqlite.files import R2Files
from storage.r2_sqlite.rules import FileRules
from storage.r2_sqlite.settings import R2ModeSettings
from tests.simulation.bucket import Bucket
from tests.simulation.clock import SimClock
from tests.simulation.disk import SimDisk
from tests.simulation.history import History
from tests.simulation.loop import Deadlock, Exhausted, make_loop
from tests.simulation.machine import Machine, Trap
from tests.simulation.process import Process
from tests.simulation.store import SimStore
from tests.simulation.weather import CALM, ROUGH, Weather

ENV = "dev"
ADDRESS = Address("alice", "main")
KEY = database_key(ENV, ADDRESS)
PAGE_SIZE = 512
INSERT = "INSERT INTO t (n) VALUES (?)"
SELECT = "SELECT n FROM t ORDER BY rowid"
HOPS_MAX = 4
TRIES_MAX = 6
PATIENCE_S = 60.0
STEPS_MAX = 600_000
ENDING_S = 90.0


class ConnectionBroken(Exception):
    """The host died with the call."""


@dataclass(frozen=True, slots=True)
class AllRules:
    """The protocol in all of its parts; a mutant replaces one."""

    migration: MigrationRules = field(default_factory=MigrationRules)
    file: FileRules = field(default_factory=FileRules)
    actor: Rules = field(default_factory=Rules)
    recovers_while_returning: bool = True  # finding 30


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of what happens in one run. `accidents` are weights; `every_s` the mean time between two."""

    accidents: dict[str, float]
    every_s: float = 1.5
    horizon_s: float = 30.0
    rough: float = 0.5
    drivers: int = 2
    clients: int = 3
    think_s: float = 0.4
    write_share: float = 0.6
    keyed: float = 0.5
    goals: tuple[Goal, ...] = (Goal.ACTOR, Goal.R2)
    driver_rest_s: float = 1.0
    finalizes: float = 0.0
    recorded: float = 0.5
    levels: tuple[Durability, ...] = (Durability.LOCAL, Durability.LOCAL, Durability.R2)
    flush_interval_s: float = 3.0
    weather: Weather = ROUGH


EVERYTHING = Plan(
    {
        "kill_host": 1.0,
        "kill_driver": 2.0,
        "kill_gateway": 0.5,
        "pause_driver": 2.0,
        "pause_host": 0.7,
        "pause_gateway": 1.0,
        "end_activation": 1.0,
    }
)


@dataclass(slots=True)
class Verdict:
    """What one seed did."""

    seed: int
    violations: list[str]
    acknowledged: int
    moves: int
    kills: int
    digest: int
    notes: list[str]


class SimHost:
    """One host process on the one machine: makes activations, drains while the file returns."""

    def __init__(self, world: World, process: Process) -> None:
        clock = SimClock(world.loop, world.machine.clock, process)
        self.world = world
        self.process = process
        self.activation: Activation | None = None
        self.calls: dict[asyncio.Future[Reply], None] = {}
        self._busy = asyncio.Lock()
        self._parts = Parts(
            store=world.store_of(process),
            disk=SimDisk(world.loop, world.machine.disk, process),
            clock=clock,
            rng=random.Random(world.rng.getrandbits(64)),
            env=ENV,
            settings=world.actor_settings,
            group_commit=GroupCommit(clock),
            offload=inline,
            rules=world.rules.actor,
            host=process.name,
        )

    async def run(self, op: Op, args: dict[str, object], body: bytes, answer: asyncio.Future[Reply]) -> None:
        try:
            activation = await self._live()
        except HoldfastError as error:
            _fail(answer, error)
            return
        activation.submit(Call(op, args, body, lambda reply: _tell(answer, reply), lambda error: _fail(answer, error)))

    async def release(self, answer: asyncio.Future[Reply]) -> None:
        """What the driver asks for. A dead owner's leftovers are brought in, as a request would do."""
        if self.activation is not None and not self.activation.ended.done():
            await self.run(Op.RELEASE, {}, b"", answer)
            return
        try:
            await self._live()
        except HoldfastError as error:
            _fail(answer, error)
        else:
            _tell(answer, Reply())

    async def end_activation(self) -> None:
        if self.activation is not None and not self.activation.ended.done():
            await self.activation.kill()

    async def _live(self) -> Activation:
        async with self._busy:
            if self.activation is None or self.activation.ended.done():
                try:
                    self.activation = await activate(ADDRESS, self._parts)
                except NotInActorMode as refusal:
                    if refusal.details.get("file_state") == "returning" and self.world.rules.recovers_while_returning:
                        await drain_address(self._parts, ADDRESS, template_image(self._parts.settings.database))
                    raise
            return self.activation


class SimGateway:
    """One gateway process. It believes any flag that was ever set; the file's state is what counts (rule 14)."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self.process = process
        self._rng = random.Random(world.rng.getrandbits(64))
        self._clock = SimClock(world.loop, world.edge.clock, process)
        files = R2Files(
            world.store_of(process, world.edge),
            ENV,
            clock=self._clock,
            rng=self._rng,
            settings=R2ModeSettings(save_interval_s=0.05),
            offload=inline,
            rules=world.rules.file,
        )
        self._r2 = R2Router(files, settings=world.actor_settings, file_bytes_max=1 << 20, clock=self._clock)

    async def serve(self, args: dict[str, object], body: bytes, answer: asyncio.Future[Reply]) -> None:
        try:
            _tell(answer, await self._route(args, body))
        except (HoldfastError, ConnectionBroken) as error:
            _fail(answer, error)

    async def _route(self, args: dict[str, object], body: bytes) -> Reply:
        in_r2 = self._rng.random() < 0.5
        failure: HoldfastError = HostUnavailable("nobody was asked")
        for _ in range(HOPS_MAX):
            try:
                if in_r2:
                    return await self._r2.call(ADDRESS, Op.SQL, args, body, create=True)
                return await self._world.ask_actor(args, body)
            except (FileMoved, FileMissing, InR2Mode) as error:
                failure, in_r2 = error, not in_r2
            except NotInActorMode as error:
                failure, in_r2 = error, True
            except (Moved, ActivationEnded, HostUnavailable, AddressLocked) as error:
                failure, in_r2 = error, self._rng.random() < 0.5
                await self._clock.sleep(0.1)
        raise failure


class World:
    """See the module."""

    def __init__(self, seed: int, plan: Plan, rules: AllRules, *, tell: bool = False) -> None:
        self.seed, self.plan, self.rules = seed, plan, rules
        self.rng = random.Random(f"migration {seed}")
        self.loop = make_loop(random.Random(f"schedule {seed}"))
        self.bucket = Bucket(self.loop.time, 0.0)
        history = History(3.0, 10.0, 5.0)
        self.machine = Machine(0, self.loop, history, random.Random(self.rng.getrandbits(64)))
        self.edge = Machine(1, self.loop, history, random.Random(self.rng.getrandbits(64)))
        database = DatabaseSettings(page_size=PAGE_SIZE)
        self.actor_settings = ActorSettings(
            database=database, flush_interval_s=plan.flush_interval_s, flush_idle_s=1.0, ttl_s=4.0, grace_s=2.0
        )
        self.host: SimHost | None = None
        self.gateways: list[SimGateway] = []
        self.drivers: list[Process] = []
        self.acknowledged: list[int] = []
        self.writes = 0
        self.moves = 0
        self.kills = 0
        self.violations: list[str] = []
        self.notes: list[str] = []
        self._tell = tell
        self._processes = 0

    def note(self, text: str) -> None:
        if self._tell:
            self.notes.append(f"{self.loop.time():9.3f}  {text}")

    def violated(self, text: str) -> None:
        self.note(f"VIOLATION {text}")
        self.violations.append(f"{text} (at {self.loop.time():.3f} s)")

    def process(self, name: str) -> Process:
        self._processes += 1
        return Process(self._processes, f"{name}{self._processes}")

    def store_of(self, process: Process, machine: Machine | None = None) -> SimStore:
        line = machine or self.machine
        return SimStore(self.loop, self.bucket, line, process, random.Random(self.rng.getrandbits(64)))

    # ---- the run

    async def main(self) -> None:
        self.bucket.put(KEY, first_file(), None)
        if self.rng.random() < self.plan.rough:
            self.machine.weather = self.edge.weather = self.plan.weather
        self.start_host()
        self.gateways = [SimGateway(self, self.process("gateway")) for _ in range(2)]
        for _ in range(self.plan.drivers):
            self.start_driver()
        clients = [self.loop.create_task(self.client(number)) for number in range(self.plan.clients)]
        troubles = self.loop.create_task(self.trouble())
        await asyncio.sleep(self.plan.horizon_s)
        troubles.cancel()
        await self.heal()
        for goal in self.rng.choice(((Goal.ACTOR, Goal.R2), (Goal.R2, Goal.ACTOR))):
            await self.finish(goal)
        for client in clients:
            client.cancel()
        await self.read(self.gateways[0], last=True)

    async def heal(self) -> None:
        """No more troubles; the drivers of before are gone."""
        self.machine.weather = self.edge.weather = CALM
        self.machine.traps.clear()
        for process in self.drivers:
            self.loop.kill(process)
        for gateway in self.gateways:
            self.loop.wake(gateway.process)
        assert self.host is not None
        self.loop.wake(self.host.process)
        await asyncio.sleep(1.0)

    async def finish(self, goal: Goal) -> None:
        """One driver, left alone, reaches its goal."""
        process = self.process("last driver")
        done: asyncio.Future[bool] = self.loop.create_future()
        self.loop.spawn(process, self._finish(process, goal, done))
        try:
            await asyncio.wait_for(asyncio.shield(done), ENDING_S)
        except TimeoutError:
            self.violated(f"STUCK: a driver that was left alone does not reach {goal.value}")
        self.loop.kill(process)

    async def _finish(self, process: Process, goal: Goal, done: asyncio.Future[bool]) -> None:
        parts = self.migration_parts(process)
        while True:
            try:
                moved = await Mover(parts, ADDRESS).move(goal)
            except (CorruptObject, LogGap) as error:
                self.violated(f"DAMAGED: {error.message}")
                return
            except HoldfastError as error:
                self.note(f"the last driver: {error.message}")
                await parts.clock.sleep(1.0)
            else:
                self.note(f"the last driver has reached {goal.value}")
                if moved.end is Step.NOTHING:
                    self.violated("GONE: there is no file")
                done.set_result(True)
                return

    # ---- clients

    async def client(self, number: int) -> None:
        rng = random.Random(f"client {self.seed} {number}")
        while True:
            await asyncio.sleep(rng.expovariate(1 / self.plan.think_s))
            gateway = rng.choice(self.gateways)
            if rng.random() < self.plan.write_share:
                await self.write(gateway, rng)
            else:
                await self.read(gateway)

    async def write(self, gateway: SimGateway, rng: random.Random) -> None:
        """One row; again where it surely did not run, and with a key also where it may have."""
        self.writes += 1
        number, keyed = self.writes, rng.random() < self.plan.keyed
        args: dict[str, object] = {"durability": rng.choice(self.plan.levels).value}
        if keyed:
            args["idempotency_key"] = f"write {number}"
        for _ in range(TRIES_MAX):
            try:
                await self.ask(gateway, args, INSERT, [number])
            except (OutcomeUnknownWrite, ConnectionBroken, TimeoutError):
                if not keyed:
                    self.note(f"write {number}: outcome unknown")
                    return
            except HoldfastError as error:
                self.note(f"write {number}: {error.code}")
            else:
                self.note(f"write {number}: acknowledged by {gateway.process}")
                self.acknowledged.append(number)
                return
            await asyncio.sleep(rng.uniform(0.05, 0.8))
            gateway = rng.choice(self.gateways)

    async def read(self, gateway: SimGateway, *, last: bool = False) -> None:
        before = list(self.acknowledged)
        for _ in range(60 if last else 1):
            try:
                reply = await self.ask(gateway, {}, SELECT, [])
            except (HoldfastError, ConnectionBroken, TimeoutError) as error:
                self.note(f"read: {error!r}")
                if type(error).__name__ == "SqlError":
                    self.violated(f"LOST: the table is gone: {error}")
                    return
                await asyncio.sleep(1.0 if last else 0.0)
                continue
            rows = [row[0] for row in msgspec.json.decode(reply.body)["results"][-1]["rows"]]
            self.judge(before, rows)
            return
        if last:
            self.violated("STUCK: nobody answers the last read")

    def judge(self, acknowledged: list[int], rows: list[int]) -> None:
        missing = sorted(set(acknowledged) - set(rows))
        twice = sorted({row for row in rows if rows.count(row) > 1})
        if missing:
            self.violated(f"LOST or STALE: a read lacks {missing}")
        if twice:
            self.violated(f"TWICE: {twice}")

    async def ask(self, gateway: SimGateway, args: dict[str, object], sql: str, params: list[object]) -> Reply:
        """One request to a gateway, which may die with it."""
        answer: asyncio.Future[Reply] = self.loop.create_future()
        body = msgspec.json.encode({"sql": sql, "params": params})
        if gateway.process.dead:
            raise HostUnavailable("the gateway is gone")
        self.loop.spawn(gateway.process, gateway.serve(args, body, answer))
        return await asyncio.wait_for(asyncio.shield(answer), PATIENCE_S)

    # ---- the way to the actor

    async def ask_actor(self, args: dict[str, object], body: bytes) -> Reply:
        return await self._at_host(lambda host, answer: host.run(Op.SQL, args, body, answer))

    async def release(self, address: Address) -> None:
        """The driver's door. The answer may be that the host is gone."""
        try:
            await self._at_host(lambda host, answer: host.release(answer))
        except ConnectionBroken as error:
            raise HostUnavailable("the host died") from error

    async def _at_host(self, run: Callable[[SimHost, asyncio.Future[Reply]], Awaitable[None]]) -> Reply:
        host = self.host
        if host is None or host.process.dead:
            raise HostUnavailable("no host")
        answer: asyncio.Future[Reply] = self.loop.create_future()
        host.calls[answer] = None
        answer.add_done_callback(lambda done: host.calls.pop(done, None))
        self.loop.spawn(host.process, run(host, answer))  # type: ignore[arg-type]
        try:
            return await asyncio.wait_for(asyncio.shield(answer), PATIENCE_S)
        except TimeoutError as error:
            raise ConnectionBroken from error

    # ---- drivers

    def migration_parts(self, process: Process) -> MigrationParts:
        return MigrationParts(
            store=self.store_of(process),
            env=ENV,
            clock=SimClock(self.loop, self.machine.clock, process),
            rng=random.Random(self.rng.getrandbits(64)),
            flags=BucketFlags(self.store_of(process), ENV),
            actors=self,
            database=self.actor_settings.database,
            settings=MigrationSettings(pause_s_max=0.0, release_wait_s=30.0, release_ask_s=0.3, retention_s=0.0),
            offload=inline,
            rules=self.rules.migration,
            run=process.name,
        )

    def start_driver(self) -> None:
        process = self.process("driver")
        self.drivers.append(process)
        self.loop.spawn(process, self._drive(process))

    async def _drive(self, process: Process) -> None:
        rng = random.Random(self.rng.getrandbits(64))
        parts = self.migration_parts(process)
        while True:
            await parts.clock.sleep(rng.expovariate(1 / self.plan.driver_rest_s))
            goal = rng.choice(self.plan.goals)
            self.note(f"{process} begins: {goal.value}")
            try:
                if rng.random() < self.plan.finalizes:
                    await Finalization(parts, ADDRESS.user).run()
                elif rng.random() < self.plan.recorded:
                    await UserMigration(parts, ADDRESS.user, goal).run()
                else:
                    await Mover(parts, ADDRESS, witness=self._witness(process)).move(goal)
                self.moves += 1
                self.note(f"{process} has reached {goal.value}")
            except HoldfastError as error:
                self.note(f"{process} stops: {error.code}: {error.message}")

    def _witness(self, process: Process) -> Witness:
        async def witness(step: Step, look: Look) -> None:
            self.note(f"{process}: {step.value}")

        return witness

    # ---- accidents

    async def trouble(self) -> None:
        rng = random.Random(f"trouble {self.seed}")
        names, weights = list(self.plan.accidents), list(self.plan.accidents.values())
        while True:
            await asyncio.sleep(rng.expovariate(1 / self.plan.every_s))
            name = rng.choices(names, weights)[0]
            self.note(f"accident: {name}")
            self._accident(name, rng)

    def _accident(self, name: str, rng: random.Random) -> None:
        host = self.host
        if name == "kill_host" and host is not None and not host.process.dead:
            self.kill_host()
            self.loop.world_at(self.loop.time() + rng.uniform(0.1, 3.0), self.start_host)
        elif name == "end_activation" and host is not None and not host.process.dead:
            self.loop.spawn(host.process, host.end_activation())
        elif name == "pause_host" and host is not None:
            self.loop.pause(host.process, rng.uniform(0.1, 12.0))
        elif name == "kill_driver":
            at = rng.randrange(len(self.drivers))
            self.loop.kill(self.drivers.pop(at))
            self.kills += 1
            self.start_driver()
        elif name == "pause_driver":
            self.loop.pause(rng.choice(self.drivers), rng.uniform(0.1, 20.0))
        elif name == "sleep_driver_at_look":
            self._trap("get", rng, lambda process: process in self.drivers)
        elif name == "sleep_host_at_look":
            self._trap("head", rng, lambda process: self.host is not None and process is self.host.process)
        elif name == "pause_gateway":
            self.loop.pause(rng.choice(self.gateways).process, rng.uniform(0.1, 15.0))
        elif name == "kill_gateway":
            at = rng.randrange(len(self.gateways))
            self.loop.kill(self.gateways[at].process)
            self.gateways[at] = SimGateway(self, self.process("gateway"))

    def _trap(self, request: str, rng: random.Random, catches: Callable[[Process], bool]) -> None:
        """Let a process fall asleep while the file's state is on its way to it: it goes on with an old one."""

        def fire(process: Process) -> None:
            if catches(process):
                self.note(f"{process} falls asleep over the file")
                self.loop.pause(process, rng.uniform(2.0, 14.0))
            else:
                self.machine.traps.append(Trap(request, KEY, 1, fire))

        self.machine.traps.append(Trap(request, KEY, rng.randrange(1, 4), fire))

    def kill_host(self) -> None:
        assert self.host is not None
        self.loop.kill(self.host.process)
        for answer in list(self.host.calls):
            _fail(answer, ConnectionBroken())

    def start_host(self) -> None:
        if self.host is None or self.host.process.dead:
            self.host = SimHost(self, self.process("host"))


def _tell(answer: asyncio.Future[Reply], reply: Reply) -> None:
    if not answer.done():
        answer.set_result(reply)


def _fail(answer: asyncio.Future[Reply], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # whoever asked may have died


def first_file() -> bytes:
    """A file as it was before Holdfast: one table, nothing of the system's."""
    connection = apsw.Connection(":memory:")
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}; CREATE TABLE t (n INTEGER)")
        return connection.serialize("main")
    finally:
        connection.close(True)


def simulate(seed: int, plan: Plan = EVERYTHING, rules: AllRules | None = None, *, tell: bool = False) -> Verdict:
    """One seed, judged."""
    world = World(seed, plan, rules or AllRules(), tell=tell)
    collecting = gc.isenabled()
    gc.disable()
    try:
        world.loop.run(world.main(), steps_max=STEPS_MAX, time_max=1e9)
    except (Deadlock, Exhausted) as error:
        world.violated(f"STUCK: {error}")
    except ObjectNotFound as error:
        world.violated(f"GONE: {error.message}")
    finally:
        if collecting:
            gc.enable()
    world.violations.extend(f"UNHANDLED: {text}" for text in world.loop.unhandled)
    return Verdict(
        seed,
        world.violations,
        len(world.acknowledged),
        world.moves,
        world.kills,
        hash((world.loop.digest, len(world.acknowledged))),
        world.notes,
    )


def harsher(plan: Plan, **accidents: float) -> Plan:
    """The same plan with other weights."""
    return replace(plan, accidents=accidents)
