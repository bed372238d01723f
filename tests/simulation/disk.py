"""The simulated disk of a machine: forgets what was not synced when the machine restarts, keeps it when a process dies.

A write goes to the cache, which every later process of the machine reads; a sync makes it durable. A restart keeps of
the writes that were not synced nothing, a prefix, or any choice of sectors, as real disks do. A failed sync leaves its
writes readable and never durable, however many later syncs succeed. Blocking syncs make their process stand still for
as long as they take (`Process.debt`); nothing else runs in it meanwhile. A flock ends with its process.
"""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from actors.durability.disk import DiskFile, DiskFull, Lock
from actors.errors import AddressLocked
from tests.simulation.loop import SimLoop
from tests.simulation.process import Process

SECTOR_BYTES = 512


@dataclass(slots=True, eq=False)
class PendingWrite:
    """A write that no sync has covered yet. `doomed`: a sync failed under it."""

    offset: int
    data: bytes
    doomed: bool = False


@dataclass(slots=True)
class FileState:
    """One file: what a reader sees, what survives a restart, and the difference."""

    cached: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    pending: list[PendingWrite] = field(default_factory=list)

    def write(self, offset: int, data: bytes) -> None:
        _write_into(self.cached, offset, data)
        self.pending.append(PendingWrite(offset, bytes(data)))

    def settle(self, writes: list[PendingWrite]) -> None:
        """These writes, those of them that still wait, are durable now."""
        for write in writes:
            if not write.doomed and write in self.pending:
                _write_into(self.durable, write.offset, write.data)
        self.pending = [write for write in self.pending if write.doomed or write not in writes]

    def restart(self, rng: random.Random) -> None:
        """The machine restarts: keep of the pending writes what chance kept."""
        style = rng.choice(("nothing", "prefix", "sectors"))
        waiting = [write for write in self.pending if not write.doomed]
        if style == "prefix" and waiting:
            kept = rng.randrange(len(waiting) + 1)
            for write in waiting[:kept]:
                _write_into(self.durable, write.offset, write.data)
            if kept < len(waiting):
                torn = waiting[kept]
                _write_into(self.durable, torn.offset, torn.data[: rng.randrange(len(torn.data) + 1)])
        elif style == "sectors":
            for write in waiting:
                for start in range(0, len(write.data), SECTOR_BYTES):
                    if rng.random() < 0.5:
                        _write_into(self.durable, write.offset + start, write.data[start : start + SECTOR_BYTES])
        self.pending.clear()
        self.cached = bytearray(self.durable)


def _write_into(target: bytearray, offset: int, data: bytes) -> None:
    if len(target) < offset + len(data):
        target.extend(bytes(offset + len(data) - len(target)))
    target[offset : offset + len(data)] = data


def _nobody_minds(seconds: float) -> None:
    """Nobody writes down how long syncs block their process."""


@dataclass(slots=True)
class DiskWeather:
    """How a machine's disk behaves now. `stall` syncs take `stall_s`; `full` fails writes, `broken` fails syncs."""

    sync_s: tuple[float, float] = (0.0001, 0.002)
    stall: float = 0.0
    stall_s: tuple[float, float] = (0.5, 40.0)
    stalls_max: int = 1_000_000
    full: float = 0.0
    broken: float = 0.0


class MachineDisk:
    """The state of one disk; every process of the machine has its own `SimDisk` onto it."""

    def __init__(self, machine_id: str, rng: random.Random) -> None:
        self.machine_id = machine_id
        self.rng = rng
        self.files: dict[str, FileState] = {}
        self.locks: dict[str, Process] = {}
        self.weather = DiskWeather()
        self.blocked: Callable[[float], None] = _nobody_minds

    def restart(self) -> None:
        """The machine comes up again: caches and locks are gone."""
        self.locks.clear()
        for name in sorted(self.files):
            self.files[name].restart(self.rng)

    def sync_seconds(self) -> float:
        """How long the next sync takes."""
        weather = self.weather
        if weather.stall and weather.stalls_max > 0 and self.rng.random() < weather.stall:
            weather.stalls_max -= 1
            return self.rng.uniform(*weather.stall_s)
        return self.rng.uniform(*weather.sync_s)

    def fails(self, share: float) -> bool:
        return share > 0 and self.rng.random() < share


class SimDisk:
    """The `Disk` of one process."""

    def __init__(self, loop: SimLoop, machine: MachineDisk, process: Process) -> None:
        self._loop = loop
        self._machine = machine
        self._process = process

    @property
    def machine_id(self) -> str:
        return self._machine.machine_id

    def lock(self, name: str) -> Lock:
        self._process.check_alive()
        holder = self._machine.locks.get(name)
        if holder is not None and not holder.dead:
            raise AddressLocked(f"lock {name}: held by {holder}")
        self._machine.locks[name] = self._process
        return _SimLock(self._machine, name, self._process)

    def open(self, name: str) -> DiskFile:
        self._process.check_alive()
        state = self._machine.files.setdefault(name, FileState())
        return SimFile(self._loop, self._machine, self._process, name, state)

    def exists(self, name: str) -> bool:
        self._process.check_alive()
        return name in self._machine.files

    def delete(self, names: Iterable[str]) -> None:
        self._process.check_alive()
        for name in names:
            self._machine.files.pop(name, None)

    def list(self, prefix: str) -> list[str]:
        self._process.check_alive()
        return sorted(name for name in self._machine.files if name.startswith(prefix))


class _SimLock:
    """A held flock."""

    def __init__(self, machine: MachineDisk, name: str, process: Process) -> None:
        self._machine = machine
        self._name = name
        self._process = process

    def release(self) -> None:
        self._process.check_alive()
        if self._machine.locks.get(self._name) is self._process:
            del self._machine.locks[self._name]


class SimFile:
    """The `DiskFile` of one process."""

    def __init__(self, loop: SimLoop, machine: MachineDisk, process: Process, name: str, state: FileState) -> None:
        self._loop = loop
        self._machine = machine
        self._process = process
        self._name = name
        self._state = state
        self._open = True

    def write(self, offset: int, data: bytes) -> None:
        self._check()
        if self._machine.fails(self._machine.weather.full):
            raise DiskFull(f"file {self._name}: no space left")
        self._state.write(offset, data)

    def sync(self) -> None:
        self._check()
        seconds = self._machine.sync_seconds()
        self._process.debt += seconds
        self._machine.blocked(seconds)
        self._finish(list(self._state.pending))

    async def sync_in_thread(self) -> None:
        self._check()
        covered = list(self._state.pending)
        done: asyncio.Future[None] = self._loop.create_future()
        ends_at = self._loop.time() + self._process.debt + self._machine.sync_seconds()
        self._loop.world_at(ends_at, self._end_thread, covered, done)
        await done

    def _end_thread(self, covered: list[PendingWrite], done: asyncio.Future[None]) -> None:
        if self._process.dead:
            return
        try:
            self._finish(covered)
        except OSError as error:
            if not done.done():
                done.set_exception(error)
            return
        if not done.done():
            done.set_result(None)

    def _finish(self, covered: list[PendingWrite]) -> None:
        if self._machine.fails(self._machine.weather.broken):
            for write in covered:
                write.doomed = True
            raise DiskFull(f"file {self._name}: sync failed")
        self._state.settle(covered)

    def read(self) -> bytes:
        self._check()
        return bytes(self._state.cached)

    def close(self) -> None:
        self._process.check_alive()
        self._open = False

    def _check(self) -> None:
        self._process.check_alive()
        if not self._open:
            raise OSError(errno.EBADF, f"file {self._name} is closed")
