"""The lock on a data directory: one service at a time, and the second one says who the first is.

An flock on `.holdfast/service.lock`, held until the process ends, however it ends. The file holds the holder's pid, for
people; the lock decides.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from holdfast.exit_code import Busy

LOCK_NAME = "service.lock"


class DataLock:
    """Held from construction to `release` or the end of the process. Children do not inherit it."""

    def __init__(self, local_dir: Path) -> None:
        """Lock, or `Busy` naming the process that holds it. Creates `local_dir`. Raises OSError."""
        local_dir.mkdir(parents=True, exist_ok=True)
        path = local_dir / LOCK_NAME
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise Busy(f"data directory {local_dir.parent}: already served by process {pid}") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next one in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
