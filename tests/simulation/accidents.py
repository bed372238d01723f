"""The accidents of a run, by name: what the seed lets happen to processes, machines, disks and their lines.

A run draws them by weight, at random distances, until its horizon.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

from tests.simulation.cluster import Cluster
from tests.simulation.disk import DiskWeather
from tests.simulation.host import Host
from tests.simulation.machine import Machine, Trap
from tests.simulation.process import Process
from tests.simulation.scenario import Scenario

SHORT_S = (0.05, 2.5)
LONG_S = (18.0, 45.0)
DAYS_S = (1800.0, 60 * 3600.0)
OUTAGE_S = (1.0, 30.0)


class Accidents:
    """Draws and carries out accidents until the run's horizon."""

    def __init__(self, cluster: Cluster, scenario: Scenario, rng: random.Random) -> None:
        self._cluster = cluster
        self._loop = cluster.loop
        self._scenario = scenario
        self._rng = rng

    async def run(self) -> None:
        """One accident after the other."""
        weights = self._scenario.profile.accidents
        names, shares = list(weights), list(weights.values())
        while names:
            await asyncio.sleep(self._rng.expovariate(1 / self._scenario.profile.every_s))
            name = self._rng.choices(names, shares)[0]
            getattr(self, name)()

    # ---- processes

    def kill(self) -> None:
        host = self._host()
        if host is not None:
            self._cluster.kill(host, "an accident")

    def kill_soon(self) -> None:
        """Within a few of its handles: at whatever await it then stands."""
        host = self._host()
        if host is not None:
            victim = host
            host.process.light_fuse(self._rng.randint(1, 60), lambda: self._cluster.kill(victim, "mid-step"))

    def kill_at_put(self) -> None:
        """Around one of its next writes: before it leaves, while it travels, or while its answer does."""
        self._trap_at("put", "", self._kill_around)

    def pause_at_put(self) -> None:
        seconds = self._rng.uniform(*self._rng.choice((SHORT_S, LONG_S)))
        self._trap_at("put", "log/0000/", lambda process: self._pause_process(process, seconds))

    def pause_at_claim(self) -> None:
        """A claimant or owner falls asleep for hours or days right after it sent a request."""
        seconds = self._rng.uniform(*DAYS_S)
        name, part = self._rng.choice((("list", "log/0000"), ("put", "log/0000/"), ("list", "log/0009")))
        self._trap_at(name, part, lambda process: self._pause_process(process, seconds))

    def pause(self) -> None:
        self._pause_host(SHORT_S)

    def pause_long(self) -> None:
        self._pause_host(LONG_S)

    def pause_days(self) -> None:
        self._pause_host(DAYS_S)

    def second_host(self) -> None:
        """Another process on a machine that has one; the directory believes in the new one."""
        machine = self._machine()
        if machine is not None and len(self._cluster.live_hosts(machine)) < 3:
            self._cluster.assign(self._address(), self._cluster.start_host(machine), wake=True)

    def pause_at_look(self) -> None:
        """The owner falls asleep while its look travels."""
        seconds = self._rng.uniform(*LONG_S)
        self._trap_at("head", "log/0000/", lambda process: self._pause_process(process, seconds))

    # ---- ownership

    def move(self) -> None:
        """The directory is told that the owner is dead, rightly or not, and names a host on another machine."""
        address = self._address()
        before = self._cluster.directory.get(address)
        away = [host for host in self._cluster.live_hosts() if before is None or host.machine is not before.machine]
        if away:
            self._cluster.assign(address, self._rng.choice(away), wake=self._rng.random() < 0.8)

    def release(self) -> None:
        address = self._address()
        host = self._cluster.directory.get(address)
        if host is not None and host.alive:
            host.within(lambda: host.spawn(host.release(address)))

    def release_and_move(self) -> None:
        """A clean release, and somebody who is quick to take over."""
        self.release()
        self._loop.world_at(self._loop.time() + self._rng.uniform(0.0, 0.5), self.move)

    def kill_and_move(self) -> None:
        """The owner dies, and another machine hears of it first."""
        host = self._cluster.directory.get(self._address())
        if host is not None:
            self._cluster.kill(host, "and another machine takes over")
            self.move()

    # ---- machines

    def power_off(self) -> None:
        machine = self._machine()
        if machine is not None:
            self._cluster.power_off(machine, self._rng.uniform(*self._rng.choice((SHORT_S, SHORT_S, LONG_S))))

    def suspend_long(self) -> None:
        machine = self._machine()
        if machine is not None:
            self._cluster.suspend(machine, self._rng.uniform(*LONG_S))

    def lose(self) -> None:
        machine = self._machine()
        if machine is not None:
            self._cluster.lose(machine)

    def wall_jump(self) -> None:
        machine = self._machine()
        if machine is not None:
            machine.clock.wall_offset += self._rng.choice((-1, 1)) * 10 ** self._rng.uniform(0, 4)

    # ---- the way to the bucket

    def cut(self) -> None:
        machine = self._machine()
        if machine is not None:
            machine.cut(self._rng.uniform(*SHORT_S))

    def cut_long(self) -> None:
        machine = self._machine()
        if machine is not None:
            machine.cut(self._rng.uniform(*LONG_S))

    def outage(self) -> None:
        seconds = self._rng.uniform(*OUTAGE_S)
        for machine in self._cluster.machines:
            machine.cut(seconds)

    def refuse_puts(self) -> None:
        """One machine's writes are answered 429 for a while; its looks go through."""
        machine = self._machine()
        if machine is None:
            return
        seconds = self._rng.uniform(5.0, 40.0)
        before = machine.weather
        machine.weather = replace(before, puts_refused="")
        machine.hindered(self._loop.time(), self._loop.time() + seconds)
        self._loop.world_at(self._loop.time() + seconds, self._end_refusing, machine)

    def refuse_puts_long(self) -> None:
        """The owner's writes are refused for longer than anybody may acknowledge, and then another takes over."""
        host = self._cluster.directory.get(self._address())
        if host is None or not host.machine.up:
            return
        machine, seconds = host.machine, self._rng.uniform(60.0, 90.0)
        machine.weather = replace(machine.weather, puts_refused="")
        machine.hindered(self._loop.time(), self._loop.time() + seconds)
        self._loop.world_at(self._loop.time() + self._rng.uniform(15.0, 35.0), self.move)
        self._loop.world_at(self._loop.time() + seconds, self._end_refusing, machine)

    def refuse_hints(self) -> None:
        """Nobody can write hints any more, for good: they grow as old as collected ground."""
        for machine in self._cluster.machines:
            machine.weather = replace(machine.weather, puts_refused="current.json")

    @staticmethod
    def _end_refusing(machine: Machine) -> None:
        machine.weather = replace(machine.weather, puts_refused=None)

    # ---- disks

    def disk_full(self) -> None:
        self._disk_trouble(lambda weather: setattr(weather, "full", 0.5))

    def disk_broken(self) -> None:
        self._disk_trouble(lambda weather: setattr(weather, "broken", 0.5))

    def disk_stall(self) -> None:
        self._disk_trouble(lambda weather: setattr(weather, "stall", 0.3))

    def stall_and_move(self) -> None:
        """Somebody else begins to take over, and one of the owner's next syncs takes longer than the wait."""
        address = self._address()
        host = self._cluster.directory.get(address)
        away = [other for other in self._cluster.live_hosts() if host is not None and other.machine is not host.machine]
        if host is None or not away:
            return
        chosen = self._rng.choice(away)
        chosen.within(chosen.wake, address)
        self._loop.world_at(self._loop.time() + self._rng.uniform(0.2, 1.0), self._stall_once, host.machine)

    def _stall_once(self, machine: Machine) -> None:
        machine.disk.weather = replace(self._scenario.profile.disk, stall=1.0, stall_s=(16.0, 40.0), stalls_max=1)

    def _disk_trouble(self, change: Callable[[DiskWeather], None]) -> None:
        machine = self._machine()
        if machine is not None:
            weather = replace(self._scenario.profile.disk)
            change(weather)
            machine.disk.weather = weather
            self._loop.world_at(self._loop.time() + self._rng.uniform(1.0, 10.0), self._calm_disk, machine)

    def _calm_disk(self, machine: Machine) -> None:
        machine.disk.weather = replace(self._scenario.profile.disk)

    # ---- choosing

    def _address(self) -> str:
        return self._rng.choice(self._cluster.addresses)

    def _machine(self) -> Machine | None:
        up = self._cluster.machines_up()
        return self._rng.choice(up) if up else None

    def _host(self) -> Host | None:
        """Mostly the one that serves."""
        serving = self._cluster.directory.get(self._address())
        if serving is not None and serving.alive and self._rng.random() < 0.7:
            return serving
        live = self._cluster.live_hosts()
        return self._rng.choice(live) if live else None

    def _pause_host(self, range_s: tuple[float, float]) -> None:
        host = self._host()
        if host is not None:
            self._cluster.pause(host, self._rng.uniform(*range_s))

    def _trap_at(self, name: str, key_part: str, fire: Callable[[Process], None], nth: int = 0) -> None:
        machine = self._machine()
        if machine is not None:
            machine.traps.append(Trap(name, key_part, nth or self._rng.randint(1, 4), fire))

    def _kill_around(self, process: Process) -> None:
        host = self._host_of(process)
        if host is None:
            return
        when = self._rng.choice((0.0, self._rng.uniform(0.0, 0.2)))
        if when:
            self._loop.world_at(self._loop.time() + when, self._cluster.kill, host, "around a write")
        else:
            self._cluster.kill(host, "before a write")

    def _pause_process(self, process: Process, seconds: float) -> None:
        host = self._host_of(process)
        if host is not None:
            self._cluster.pause(host, seconds)

    def _host_of(self, process: Process) -> Host | None:
        return next((host for host in self._cluster.hosts if host.process is process and host.alive), None)
