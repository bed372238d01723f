"""Checks of the data directory: writable, synced, room, flock, lock, short enough paths."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

from holdfast.data_lock import DataLock
from holdfast.doctor.check import Finding
from holdfast.exit_code import Busy
from holdfast.progress import format_bytes

FREE_BYTES_MIN = 1 << 30
SYNCS = 8


def check_writable(local_dir: Path) -> Finding:
    """Write and sync a file where journals will lie; how long a sync takes decides about `local` durability's price."""
    try:
        local_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=local_dir, prefix=".doctor-") as file:
            started = time.monotonic()
            for _ in range(SYNCS):
                file.write(bytes(4096))
                file.flush()
                os.fdatasync(file.fileno())
            sync_ms = (time.monotonic() - started) / SYNCS * 1000
    except OSError as error:
        return Finding("data directory", False, f"{local_dir}: {error.strerror}")
    return Finding("data directory", True, f"{local_dir} is writable, fdatasync takes {sync_ms:.2f} ms")


def check_room(local_dir: Path) -> Finding:
    try:
        free = shutil.disk_usage(local_dir).free
    except OSError as error:
        return Finding("free disk", False, f"{local_dir}: {error.strerror}")
    text = f"{format_bytes(free)} free"
    return Finding("free disk", free >= FREE_BYTES_MIN, f"{text}, at least {format_bytes(FREE_BYTES_MIN)} are needed")


def check_flock(local_dir: Path) -> Finding:
    """Rule 2 rests on flock: a second descriptor must be refused (some network file systems do not)."""
    try:
        with tempfile.NamedTemporaryFile(dir=local_dir, prefix=".doctor-") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            with open(file.name, "rb") as other:
                try:
                    fcntl.flock(other.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return Finding("flock", True, "a second holder is refused")
    except OSError as error:
        return Finding("flock", False, f"{local_dir}: {error.strerror}")
    return Finding("flock", False, f"{local_dir}: the file system grants one lock twice; use a local one")


def check_lock(local_dir: Path) -> Finding:
    """Whether a service could start on this data directory now."""
    try:
        DataLock(local_dir).release()
    except Busy as error:
        return Finding("data lock", False, error.message)
    except OSError as error:
        return Finding("data lock", False, f"{local_dir}: {error.strerror}")
    return Finding("data lock", True, "nobody serves this data directory")
