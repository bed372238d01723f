"""Which host processes of this data directory live on this machine, as files that outlive them.

Each host leaves one file with its pid, the process's start time and the machine's boot id: a number alone would name
whoever got it next. A starting service ends those that a killed one left behind, and a starting host its own
predecessor, before anything is claimed (rule 2: a predecessor on this machine is killed first). A zombie is dead.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from actors.errors import ActorError

POLL_S: Final = 0.01
DEAD_STATES: Final = frozenset("ZXx")


class LeftoverAlive(ActorError):
    """A process that was killed did not end in time: nothing may be claimed beside it."""

    code = "leftover_alive"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """One host process. `started` is the kernel's start time in clock ticks since boot."""

    name: str
    pid: int
    started: int
    boot_id: str


class ProcessRegistry:
    """The files in `folder`. `proc` is the machine's /proc."""

    def __init__(self, folder: Path, *, proc: Path = Path("/proc")) -> None:
        self._folder, self._proc = folder, proc

    def register(self, name: str, pid: int) -> ProcessRecord:
        """Write down that process `pid` is `name`. Raises ActorError if it is not alive."""
        started = self._started(pid)
        if started is None:
            raise ActorError(f"process {pid} of {name} is not alive")
        record = ProcessRecord(name=name, pid=pid, started=started, boot_id=self._boot_id())
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(record)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(record))
        fresh.replace(path)
        return record

    def forget(self, record: ProcessRecord) -> None:
        """The host ends in an orderly way."""
        self._path(record).unlink(missing_ok=True)

    def alive(self) -> list[ProcessRecord]:
        """Those that still run. Files of the dead, of other boots and unreadable ones are removed."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            record = _read(path)
            if record is not None and self._is_alive(record):
                found.append(record)
            else:
                path.unlink(missing_ok=True)
        return found

    def end_leftovers(
        self, *, timeout_s: float, now: Callable[[], float], sleep: Callable[[float], None], name: str | None = None
    ) -> list[ProcessRecord]:
        """SIGKILL every registered process but this one (or only those of host `name`) and wait until they are dead.
        Returns whom it ended. Raises LeftoverAlive after `timeout_s`."""
        leftovers = [each for each in self.alive() if each.pid != os.getpid() and name in (None, each.name)]
        for record in leftovers:
            self._kill(record)
        deadline = now() + timeout_s
        while waiting := [record for record in leftovers if self._is_alive(record)]:
            if now() >= deadline:
                raise LeftoverAlive(f"process {waiting[0].pid} of host {waiting[0].name} does not end")
            sleep(POLL_S)
        for record in leftovers:
            self.forget(record)
        return leftovers

    def descendants(self, pid: int) -> list[int]:
        """Every living process below `pid`."""
        children: dict[int, list[int]] = {}
        for folder in self._proc.glob("[0-9]*"):
            fields = self._fields(int(folder.name))
            if fields is not None:
                children.setdefault(int(fields[1]), []).append(int(folder.name))
        found, waiting = [], [pid]
        while waiting:
            below = children.get(waiting.pop(), [])
            found += below
            waiting += below
        return found

    def _kill(self, record: ProcessRecord) -> None:
        """Through a pidfd, checked after it was opened: the number cannot change hands in between."""
        try:
            handle = os.pidfd_open(record.pid)
        except ProcessLookupError:
            return
        try:
            if self._is_alive(record):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)

    def _is_alive(self, record: ProcessRecord) -> bool:
        return record.boot_id == self._boot_id() and self._started(record.pid) == record.started

    def _started(self, pid: int) -> int | None:
        fields = self._fields(pid)
        return None if fields is None else int(fields[19])

    def _fields(self, pid: int) -> list[str] | None:
        """What the kernel says of a living process from its state on; None for a dead one and a zombie. The command's
        name before it, in parentheses, may hold anything."""
        try:
            text = (self._proc / str(pid) / "stat").read_text(errors="replace")
        except OSError:
            return None
        fields = text[text.rindex(")") + 2 :].split()
        return None if fields[0] in DEAD_STATES else fields

    def _boot_id(self) -> str:
        return (self._proc / "sys/kernel/random/boot_id").read_text().strip()

    def _path(self, record: ProcessRecord) -> Path:
        return self._folder / f"{quote(record.name, safe='')}.{record.pid}.json"


def _read(path: Path) -> ProcessRecord | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=ProcessRecord)
    except (OSError, msgspec.DecodeError):
        return None
