"""Processes that were started with a folder's path among their arguments, found in /proc and ended.

For a folder with a name of its own: Ray hands its folder to every process it starts, and one that was started in its
last moment makes the folder anew after it was removed.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

PROC = Path("/proc")


def folder_users(folder: Path, *, proc: Path = PROC) -> list[int]:
    """Pids of the processes, but this one."""
    name = os.fsencode(folder)
    found = []
    for entry in proc.glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if name in arguments and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def end_folder_users(folder: Path) -> int:
    """SIGKILL them. How many there were."""
    ended = 0
    for pid in folder_users(folder):
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                # Looked at again through the open handle: the number may have changed hands in between.
                if pid in folder_users(folder):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    ended += 1
            finally:
                os.close(handle)
    return ended
