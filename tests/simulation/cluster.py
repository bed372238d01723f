"""Machines, hosts, and a supervisor that behaves like Ray: restarts what died, here or elsewhere, sometimes wrongly.

Every machine that is up soon has a live host. The directory says which host serves an address; clients ask it, and
sometimes remember an old answer. Nothing the directory says is a licence to anything: that is what is under test.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from tests.simulation.clock import SimClock
from tests.simulation.disk import SimDisk
from tests.simulation.history import History, MachineLost
from tests.simulation.host import Host, Software
from tests.simulation.loop import SimLoop
from tests.simulation.machine import Machine
from tests.simulation.process import Process

MakeSoftware = Callable[[Machine, Process], Software]

SUPERVISE_EVERY_S = (0.2, 0.8)


class Cluster:
    """See the module. All of it belongs to the world; hosts are entered through their contexts."""

    def __init__(
        self,
        loop: SimLoop,
        history: History,
        rng: random.Random,
        machines: int,
        addresses: tuple[str, ...],
        make_software: MakeSoftware,
        note: Callable[[str], None],
    ) -> None:
        self.loop = loop
        self.history = history
        self.rng = rng
        self.addresses = addresses
        self.machines = [Machine(index, loop, history, random.Random(rng.getrandbits(64))) for index in range(machines)]
        self.hosts: list[Host] = []
        self.directory: dict[str, Host] = {}
        self.note = note
        self.elsewhere = 0.4
        self.pace = 1.0
        self.supervising = True
        self._make_software = make_software
        self._process_count = 0
        self._absent_since: dict[Machine, float] = {}

    # ---- finding

    def live_hosts(self, machine: Machine | None = None) -> list[Host]:
        return [host for host in self.hosts if host.alive and (machine is None or host.machine is machine)]

    def machines_up(self) -> list[Machine]:
        return [machine for machine in self.machines if machine.up]

    def host_for(self, address: str, *, stale: bool = False) -> Host | None:
        """Where the directory says, or any live host for a client that remembers something old."""
        if stale:
            live = self.live_hosts()
            return self.rng.choice(live) if live else None
        return self.directory.get(address)

    # ---- doing

    def start_host(self, machine: Machine) -> Host:
        """A new process on a machine."""
        assert machine.up
        self._process_count += 1
        process = Process(self._process_count, f"p{self._process_count}@{machine.name}")
        software = self._make_software(machine, process)
        rng = random.Random(self.rng.getrandbits(64))
        host = Host(self.loop, machine, process, software, self.addresses, rng, self.pace)
        self.hosts.append(host)
        if machine in self._absent_since:
            machine.hindered(self._absent_since.pop(machine), self.loop.time())
        host.start()
        self.note(f"{host} starts")
        return host

    def assign(self, address: str, host: Host, *, wake: bool = False) -> None:
        """Let the directory say that this host serves the address."""
        self.directory[address] = host
        self.note(f"directory: {address} is at {host}")
        if wake:
            host.within(host.wake, address)

    def kill(self, host: Host, why: str) -> None:
        """SIGKILL. Its machine misses it until the supervisor starts another."""
        if not host.alive:
            return
        self.note(f"{host} is killed: {why}")
        self.loop.kill(host.process)
        for broken in list(host.outstanding.values()):
            broken()
        host.outstanding.clear()
        if not self.live_hosts(host.machine):
            self._absent_since.setdefault(host.machine, self.loop.time())

    def close_absences(self) -> None:
        """The run ends: machines that still miss a host were hindered until now."""
        for machine, since in self._absent_since.items():
            machine.hindered(since, self.loop.time())
        self._absent_since.clear()

    def pause(self, host: Host, seconds: float) -> None:
        """SIGSTOP for a while."""
        if host.alive:
            self.note(f"{host} pauses for {seconds:.2f} s")
            self.loop.pause(host.process, seconds)
            host.machine.hindered(self.loop.time(), self.loop.time() + seconds)

    def suspend(self, machine: Machine, seconds: float) -> None:
        """The whole machine sleeps; its boot clock runs on, unless it is built wrong."""
        self.note(f"{machine} is suspended for {seconds:.2f} s")
        for host in self.live_hosts(machine):
            self.loop.pause(host.process, seconds)
        machine.hindered(self.loop.time(), self.loop.time() + seconds)
        machine.suspended_until = max(machine.suspended_until, self.loop.time() + seconds)
        if machine.clock.stops_in_suspend:
            self.loop.world_at(self.loop.time() + seconds, _add_suspended, machine, seconds)

    def power_off(self, machine: Machine, down_s: float) -> None:
        """The machine restarts: processes die, what was not synced may be gone."""
        if not machine.up:
            return
        self.note(f"{machine} goes down for {down_s:.2f} s")
        for host in self.live_hosts(machine):
            self.kill(host, "its machine goes down")
        machine.shut_down()
        machine.hindered(self.loop.time(), self.loop.time() + down_s)
        self.loop.world_at(self.loop.time() + down_s, self._power_on, machine)

    def _power_on(self, machine: Machine) -> None:
        if not machine.up and not machine.lost:
            self.note(f"{machine} is up")
            machine.boot()

    def lose(self, machine: Machine) -> None:
        """The machine is gone with its disk."""
        if machine.lost or sum(not other.lost for other in self.machines) < 2:
            return
        self.note(f"{machine} is lost")
        for host in self.live_hosts(machine):
            self.kill(host, "its machine is lost")
        machine.lose()
        self.history.lost_machines.append(MachineLost(machine.name, self.loop.time()))

    def wake_all(self) -> None:
        """The troubles end: whoever sleeps wakes, every machine that is not lost comes up."""
        for machine in self.machines:
            machine.suspended_until = 0.0
            if not machine.up and not machine.lost:
                self._power_on(machine)
        self.pace = 1.0
        for host in self.live_hosts():
            self.loop.wake(host.process)
            host.pace = 1.0
        for machine in self.machines:
            for predecessor in self.live_hosts(machine)[:-1]:
                self.kill(predecessor, "a later host of its machine ends it")

    # ---- supervision

    async def supervise(self) -> None:
        """Keep a live host on every machine, and every address somewhere."""
        while True:
            for machine in self.machines_up() if self.supervising else ():
                if self.loop.time() >= machine.suspended_until and not self.live_hosts(machine):
                    self.start_host(machine)
            for address in self.addresses:
                host = self.directory.get(address)
                if host is None or not host.alive:
                    self._move(address, host)
            await asyncio.sleep(self.rng.uniform(*SUPERVISE_EVERY_S) * self.pace)

    def _move(self, address: str, before: Host | None) -> None:
        live = self.live_hosts()
        if not live:
            return
        here = [host for host in live if before is not None and host.machine is before.machine]
        away = [host for host in live if host not in here]
        pool = away if away and (not here or self.rng.random() < self.elsewhere) else here or live
        self.assign(address, self.rng.choice(pool), wake=self.rng.random() < 0.5)

    # ---- ports for a process

    def disk_of(self, machine: Machine, process: Process) -> SimDisk:
        return SimDisk(self.loop, machine.disk, process)

    def clock_of(self, machine: Machine, process: Process) -> SimClock:
        return SimClock(self.loop, machine.clock, process)


def _add_suspended(machine: Machine, seconds: float) -> None:
    machine.clock.suspended_s += seconds
