"""The local disk under journals, as a port: the real one below `.holdfast/`, and the simulator's, which forgets what
was not synced.

Names are relative, `/`-separated. Files are written by offset, so that a journal can be overwritten in place: after a
first pass its blocks exist and an fdatasync needs no file-system journal commit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class DiskFull(OSError):
    """ENOSPC, EDQUOT or EIO under a journal."""


class Lock(Protocol):
    """A held flock. It lasts until `release` or the end of the process."""

    def release(self) -> None: ...


class DiskFile(Protocol):
    """One open file."""

    def write(self, offset: int, data: bytes) -> None:
        """Write at `offset`; durable only after a later sync. Raises DiskFull."""
        ...

    def sync(self) -> None:
        """fdatasync, blocking: everything written before is durable when it returns. Raises OSError."""
        ...

    async def sync_in_thread(self) -> None:
        """The same, off the event loop."""
        ...

    def read(self) -> bytes:
        """The whole file."""
        ...

    def close(self) -> None: ...


class Disk(Protocol):
    """One machine's local state. `machine_id` names it: a journal is where its machine-id is."""

    @property
    def machine_id(self) -> str: ...

    def lock(self, name: str) -> Lock:
        """flock on `name`, or AddressLocked. Never waits."""
        ...

    def open(self, name: str) -> DiskFile:
        """Open for reading and writing, created (durably, with its folders) if absent."""
        ...

    def exists(self, name: str) -> bool: ...

    def delete(self, names: Iterable[str]) -> None:
        """Remove files; missing ones are no error. Durable when it returns."""
        ...

    def list(self, prefix: str) -> list[str]:
        """Names that begin with `prefix`, sorted."""
        ...
