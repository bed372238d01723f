"""Secrets that one machine keeps for itself: made once, readable by their owner alone.

They sign links to objects of the local store and authenticate the links between gateway and hosts. Losing one costs the
links that are out, nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

SECRET_BYTES = 32


def local_secret(local_dir: Path, name: str, *, random_bytes: Callable[[int], bytes] = os.urandom) -> bytes:
    """The secret `name` below `local_dir`, made if absent. A file cut short by a crash is made anew. Raises OSError."""
    folder = local_dir / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    try:
        found = path.read_bytes()
        if len(found) == SECRET_BYTES:
            return found
    except FileNotFoundError:
        pass
    return _make(path, random_bytes(SECRET_BYTES))


def _make(path: Path, secret: bytes) -> bytes:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, secret)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(path)
    return secret
