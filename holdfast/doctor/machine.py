"""Checks of the machine and the installation: Python, packages, clocks."""

from __future__ import annotations

import sys
import time
from importlib import metadata

from holdfast.doctor.check import Finding

PYTHON_MIN = (3, 11)
PACKAGES = ("apsw", "boto3", "fastapi", "fastcrc", "httptools", "lz4", "msgspec", "ray", "uvicorn", "uvloop")


def check_python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info[:2] >= PYTHON_MIN, f"{version} at {sys.executable}")


def check_packages() -> Finding:
    """Whether everything is installed; the pins decide about versions."""
    versions, missing = [], []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("packages", False, f"not installed: {', '.join(missing)}; `make run` installs them")
    return Finding("packages", True, ", ".join(versions))


def check_clock() -> Finding:
    """Ownership counts on the clock that runs on through suspend (rule 5)."""
    try:
        boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    except (AttributeError, OSError) as error:
        return Finding("boot clock", False, f"CLOCK_BOOTTIME cannot be read: {error}")
    if boot_s < time.monotonic() - 1:
        return Finding("boot clock", False, f"CLOCK_BOOTTIME is at {boot_s:.0f} s, behind the monotonic clock")
    return Finding("boot clock", True, f"up for {boot_s / 3600:.1f} h")
