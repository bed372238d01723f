"""A machine's disk in memory: knows what was synced, fails when told to, keeps flocks (implements `Disk`).

`restart` is a power cut: what was not synced is gone, locks too. `free_locks` is the end of a process: the files keep
what was written. `full` fails writes, `broken` fails syncs (their bytes never become durable), `slow_s` is how long a
sync takes, `hold_threads` makes syncs in threads wait for `let_threads_go`.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterable
from dataclasses import dataclass, field

from actors.durability.disk import Disk, DiskFile, DiskFull, Lock
from actors.errors import AddressLocked
from tests.actors.virtual_time import VirtualClock


@dataclass(slots=True)
class Bytes:
    """One file: what a reader sees, and what survives a power cut."""

    written: bytearray = field(default_factory=bytearray)
    synced: bytearray = field(default_factory=bytearray)


class FakeDisk(Disk):
    """See the module."""

    def __init__(self, machine_id: str = "m1", clock: VirtualClock | None = None) -> None:
        self.files: dict[str, Bytes] = {}
        self.locks: set[str] = set()
        self.full = False
        self.broken = False
        self.slow_s = 0.0
        self.syncs = 0
        self.thread_syncs = 0
        self.hold_threads = False
        self._machine_id = machine_id
        self._clock = clock
        self._threads_may_go = asyncio.Event()

    # ---- what a test says

    def restart(self) -> None:
        """A power cut."""
        self.free_locks()
        for name, file in self.files.items():
            self.files[name] = Bytes(bytearray(file.synced), bytearray(file.synced))

    def free_locks(self) -> None:
        """Every process on this machine has ended."""
        self.locks.clear()

    def let_threads_go(self) -> None:
        """Syncs in threads end."""
        self._threads_may_go.set()

    # ---- the port

    @property
    def machine_id(self) -> str:
        return self._machine_id

    def lock(self, name: str) -> Lock:
        if name in self.locks:
            raise AddressLocked(f"lock {name}: held")
        self.locks.add(name)
        return FakeLock(self, name)

    def open(self, name: str) -> DiskFile:
        if name not in self.files:
            self.check_space(name)
        return FakeFile(self, name, self.files.setdefault(name, Bytes()))

    def exists(self, name: str) -> bool:
        return name in self.files

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            self.files.pop(name, None)

    def list(self, prefix: str) -> list[str]:
        return sorted(name for name in self.files if name.startswith(prefix))

    # ---- what its files use

    def check_space(self, name: str) -> None:
        if self.full:
            raise DiskFull(errno.ENOSPC, f"file {name}: no space left")

    def check_sync(self, name: str) -> None:
        if self.broken:
            raise DiskFull(errno.EIO, f"file {name}: sync failed")

    def take_time(self) -> None:
        if self.slow_s and self._clock is not None:
            self._clock.skip(self.slow_s)

    async def wait_in_thread(self) -> None:
        if self.hold_threads:
            await self._threads_may_go.wait()
        elif self.slow_s:
            await asyncio.sleep(self.slow_s)


class FakeLock(Lock):
    """A held flock."""

    def __init__(self, disk: FakeDisk, name: str) -> None:
        self._disk = disk
        self._name = name

    def release(self) -> None:
        self._disk.locks.discard(self._name)


class FakeFile(DiskFile):
    """One open file."""

    def __init__(self, disk: FakeDisk, name: str, data: Bytes) -> None:
        self._disk = disk
        self._name = name
        self._data = data
        self.closed = False

    def write(self, offset: int, data: bytes) -> None:
        assert not self.closed, f"file {self._name} is closed"
        self._disk.check_space(self._name)
        written = self._data.written
        if len(written) < offset:
            written.extend(bytes(offset - len(written)))
        written[offset : offset + len(data)] = data

    def sync(self) -> None:
        assert not self.closed, f"file {self._name} is closed"
        self._disk.syncs += 1
        self._disk.take_time()
        self._disk.check_sync(self._name)
        self._data.synced = bytearray(self._data.written)

    async def sync_in_thread(self) -> None:
        self._disk.thread_syncs += 1
        covered = bytearray(self._data.written)
        await self._disk.wait_in_thread()
        self._disk.check_sync(self._name)
        self._data.synced = covered

    def read(self) -> bytes:
        return bytes(self._data.written)

    def close(self) -> None:
        self.closed = True
