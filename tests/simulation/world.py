"""One simulated run from its seed to its history: set up, work under accidents, heal, look at what is left.

    run(scenario, software) -> Run          software: the real activation, or a toy with a known bug

Everything random comes from the seed, through one stream per concern; the same seed gives the same run, whose `digest`
says so.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import apsw

from actors.call import Durability, Op
from storage.errors import HoldfastError
from tests.simulation.accidents import Accidents
from tests.simulation.bucket import Bucket
from tests.simulation.client import SELECT, Client, ConnectionBroken, rows_of
from tests.simulation.cluster import Cluster
from tests.simulation.disk import DiskWeather
from tests.simulation.history import Final, History, Outcome, Reply
from tests.simulation.host import Host, Software
from tests.simulation.invariants import violations
from tests.simulation.ledger import Ledger, Pages
from tests.simulation.loop import Deadlock, Exhausted, make_loop
from tests.simulation.machine import Machine
from tests.simulation.process import Process
from tests.simulation.scenario import Scenario
from tests.simulation.store import SimStore
from tests.simulation.weather import CALM

STEPS_MAX = 400_000
HEAL_S = 60.0
WIPE_S = 5.0
FINAL_ATTEMPTS_MAX = 60
JUDGED_SHARE = 0.3
ASKED_BACK = 12

MakeSoftware = Callable[["World", Machine, Process], Software]
JournalReader = Callable[[Machine, str, int], int]


@dataclass(frozen=True, slots=True)
class Run:
    """What one seed did. `digest` is equal for equal runs; `notes` tell the story when it was asked for."""

    scenario: Scenario
    history: History
    violations: tuple[str, ...]
    digest: int
    steps: int
    notes: tuple[str, ...]


class World:
    """The parts of one run."""

    def __init__(self, scenario: Scenario, make_software: MakeSoftware, *, tell: bool = False) -> None:
        seed = scenario.seed
        self.scenario = scenario
        self.rng = random.Random(f"world {seed}")
        self.loop = make_loop(random.Random(f"schedule {seed}"))
        settings = scenario.settings
        self.history = History(settings.flush_interval_s, max(scenario.profile.ttls), settings.grace_s)
        self.bucket = Bucket(self.loop.time, self.rng.uniform(-1e4, 1e4))
        self.notes: list[str] = []
        self.ledger = Ledger(self.bucket, self.history, scenario.addresses, self.note)
        self.journal_reader: JournalReader | None = None
        self._tell = tell
        self._clients = random.Random(f"clients {seed}")
        self.cluster = Cluster(
            self.loop,
            self.history,
            random.Random(f"cluster {seed}"),
            scenario.machines,
            scenario.addresses,
            lambda machine, process: make_software(self, machine, process),
            self.note,
        )
        self.cluster.elsewhere = scenario.profile.elsewhere
        self.cluster.pace = scenario.profile.pace
        self._network = random.Random(f"network {seed}")

    def note(self, text: str) -> None:
        """A line of the story."""
        if self._tell:
            self.notes.append(f"{self.loop.time():9.3f}  {text}")

    def store_of(self, machine: Machine, process: Process) -> SimStore:
        return SimStore(self.loop, self.bucket, machine, process, random.Random(self._network.getrandbits(64)))

    # ---- the run

    async def main(self) -> None:
        """Work under accidents until the horizon, then heal and look."""
        scenario = self.scenario
        for machine in self.cluster.machines:
            machine.weather = scenario.weather
            machine.clock.stops_in_suspend = scenario.profile.stops_in_suspend
            machine.disk.weather = replace(scenario.profile.disk)
        accidents = Accidents(self.cluster, scenario, random.Random(f"accidents {scenario.seed}"))
        supervisor = self.loop.create_task(self.cluster.supervise())
        client = self._client()
        clumsy = self.rng.random() < 0.3
        tasks = [self.loop.create_task(accidents.run())] if clumsy else []
        for address in scenario.addresses:
            await client.prepare(address)
        if scenario.profile.wiped_after_s is not None:
            await self._wipe(self.rng.uniform(*scenario.profile.wiped_after_s))
            for address in scenario.addresses:
                await client.prepare(address)
        if not clumsy:
            tasks.append(self.loop.create_task(accidents.run()))
        tasks += [self.loop.create_task(self._work()) for _ in range(scenario.clients)]
        await asyncio.sleep(scenario.horizon_s)
        for task in tasks:
            task.cancel()
        await self._heal()
        for address in scenario.addresses:
            await self._look(address)
        supervisor.cancel()
        self.cluster.close_absences()

    async def _wipe(self, after_s: float) -> None:
        """What nobody may do: the log is deleted, journals are left behind, and the same epochs begin again."""
        workers = [self.loop.create_task(self._work()) for _ in range(self.scenario.clients)]
        await asyncio.sleep(after_s)
        self.cluster.supervising = False
        for worker in workers:
            worker.cancel()
        for host in self.cluster.live_hosts():
            self.cluster.kill(host, "before its log is wiped")
        await asyncio.sleep(WIPE_S)
        for key in self.bucket.keys(""):
            if "/log/" in key:
                self.bucket.delete(key)
        self.note("the log is wiped")
        self.history.forget()
        self.ledger.forget()
        self.cluster.supervising = True

    def _client(self) -> Client:
        return Client(self.cluster, self.history, random.Random(self._clients.getrandbits(64)), self._judge)

    async def _work(self) -> None:
        """One client: writes and reads, one at a time."""
        client, profile = self._client(), self.scenario.profile
        client.stale_share = profile.stale_share
        client.answer_s = profile.answer_s
        client.keyed_share = profile.keyed_share
        rng = random.Random(self._clients.getrandbits(64))
        levels, shares = list(profile.levels), list(profile.levels.values())
        while True:
            await asyncio.sleep(rng.expovariate(1 / profile.think_s))
            address = rng.choice(self.scenario.addresses)
            level = rng.choices(levels, shares)[0]
            if rng.random() >= profile.write_share:
                await client.read(address, level)
                continue
            await client.write(address, level)
            answered = [write for write in self.history.writes[-ASKED_BACK:] if write.outcome is Outcome.OK]
            if answered and rng.random() < 0.2:
                await client.wait_durable(rng.choice(answered), rng.choice((Durability.LOCAL, Durability.R2)))

    def _judge(self, reply: Reply, host: Host) -> None:
        """Look the truth up at the moment an answer leaves."""
        reply.log_commit = self.ledger.books[reply.address].reached(reply.epoch)
        if (
            self.journal_reader is not None
            and reply.level is Durability.LOCAL
            and reply.commit > reply.log_commit
            and self.rng.random() < JUDGED_SHARE
        ):
            reply.journal_commit = self.journal_reader(host.machine, reply.address, reply.log_commit)

    # ---- the end

    async def _heal(self) -> None:
        """Everything works again, for long enough that whoever waits for something gets it."""
        self.note("healing")
        self.history.healed_at = self.loop.time()
        for machine in self.cluster.machines:
            machine.weather = CALM
            machine.traps.clear()
            machine.cut_until = 0.0
            machine.disk.weather = DiskWeather()
        self.cluster.wake_all()
        await asyncio.sleep(HEAL_S * max(1.0, self.scenario.profile.pace / 10))

    async def _look(self, address: str) -> None:
        """What an owner reads and holds, and what the bucket alone gives."""
        client = self._client()
        client.stale_share = 0.0
        for _ in range(FINAL_ATTEMPTS_MAX):
            host = self.cluster.host_for(address)
            try:
                answer = await client.sql(address, SELECT, [], Durability.R2, None, self.loop.time(), host)
                await client.call(address, Op.FLUSH, {}, b"", None, host)
            except (HoldfastError, ConnectionBroken) as error:
                self.note(f"the last read of {address} fails: {error!r}")
                await asyncio.sleep(1.0)
                continue
            self._compare(address, answer.host, rows_of(answer.body))
            return
        self.history.faults.append(f"STUCK: {address} does not come back")

    def _compare(self, address: str, host: Host, numbers: list[int]) -> None:
        pages = self.ledger.rebuild(address)
        activation = host.activations.get(address)
        owner = host.software.pages(activation) if activation is not None else None
        self.history.final[address] = Final(
            rows=_counted(numbers),
            owner_pages=owner,
            bucket_pages=pages,
            bucket_rows=_counted(_rows_in(pages)),
            orphans=dict(self.ledger.books[address].orphans),
        )


def _counted(numbers: list[int]) -> dict[int, int]:
    return {number: numbers.count(number) for number in numbers}


def _rows_in(pages: Pages) -> list[int]:
    """The workload's rows in an image, read by SQLite itself."""
    if not pages:
        return []
    connection = apsw.Connection(":memory:")
    try:
        connection.deserialize("main", b"".join(pages[number] for number in range(1, len(pages) + 1)))
        return [row[0] for row in connection.execute(SELECT)]
    finally:
        connection.close()


def run(scenario: Scenario, make_software: MakeSoftware, *, tell: bool = False) -> Run:
    """The run of one scenario. Never raises for what it finds: that stands in `violations`."""
    world = World(scenario, make_software, tell=tell)
    collecting = gc.isenabled()
    gc.disable()
    try:
        world.loop.run(world.main(), steps_max=STEPS_MAX, time_max=1e9)
    except (Deadlock, Exhausted) as error:
        world.history.faults.append(f"STUCK: {error}")
    finally:
        if collecting:
            gc.enable()
    world.history.faults.extend(f"UNHANDLED: {text}" for text in world.loop.unhandled)
    found = tuple(violations(world.history))
    digest = hash((world.loop.digest, len(world.history.replies), len(world.history.landed)))
    return Run(scenario, world.history, found, digest, world.loop.steps, tuple(world.notes))
