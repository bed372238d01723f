"""The conditions of a run: the machine, its disk, versions of everything that took part, the commit."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import apsw

PACKAGES = ("holdfast", "apsw", "ray", "fastapi", "starlette", "uvicorn", "uvloop", "httptools", "msgspec", "asyncpg")
SYNCS = 25
SYNC_BYTES = 4096
ROOT = Path(__file__).resolve().parents[1]


def describe_machine(folder: Path) -> dict[str, Any]:
    """Plain values for the results file. `folder` is where the databases lie."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1),
        "system": f"{platform.system()} {platform.release()}",
        "file_system": _file_system(folder),
        "fdatasync_ms_p50": round(median_sync_ms(folder), 3),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
        "sqlite_ours": apsw.sqlite_lib_version(),
        "sqlite_peers": sqlite3.sqlite_version,
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def median_sync_ms(folder: Path) -> float:
    """What overwriting a page and fdatasync take, in milliseconds, at this moment."""
    path = folder / "sync-probe"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        taken = []
        for _ in range(SYNCS):
            began = time.perf_counter()
            os.pwrite(descriptor, os.urandom(SYNC_BYTES), 0)
            os.fdatasync(descriptor)
            taken.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
    return median(taken) * 1000


def first_line(command: Sequence[str]) -> str:
    """What a program says of itself, or why it does not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"unknown ({type(error).__name__})"
    return (done.stdout.strip().splitlines() or [""])[0]


def _commit() -> str:
    commit = first_line(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"])
    changed = first_line(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"])
    return f"{commit} with local changes" if changed and not changed.startswith("unknown") else commit


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """Type of the file system with the longest mount point above `folder`."""
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if folder.resolve().is_relative_to(mount) and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
