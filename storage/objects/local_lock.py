"""Locks of the local store: flock on a fixed set of files, so that writers in different processes take turns per key.

Keys share locks (`STRIPES`), which costs a little waiting and no safety. A lock is held for the few milliseconds of one
write and never across an await. Whoever waits longer than `LOCK_WAIT_S` (its holder is paused, say) gets Unavailable.
Network file systems that do not pass flock on to their server are no place for a local store.
"""

from __future__ import annotations

import fcntl
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from storage.clock import Clock
from storage.errors import Unavailable

STRIPES = 256
LOCK_WAIT_S = 10.0
LOCK_POLL_S = 0.001


class StripedLocks:
    """Exclusive locks below `folder`, which exists."""

    def __init__(self, folder: str, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold the lock of `key`, against other threads as well as other processes. Blocks; raises Unavailable."""
        stripe = zlib.crc32(key.encode()) % STRIPES
        path = os.path.join(self._folder, f"{stripe:02x}")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._wait(descriptor, key)
            yield
        finally:
            os.close(descriptor)  # the lock ends with the open file

    def _wait(self, descriptor: int, key: str) -> None:
        if try_lock(descriptor):
            return
        deadline = self._clock.now() + LOCK_WAIT_S
        pause = threading.Event()
        while not try_lock(descriptor):
            if self._clock.now() >= deadline:
                raise Unavailable(f"object {key}: another writer has held its lock for {LOCK_WAIT_S:g} s")
            pause.wait(LOCK_POLL_S)


def try_lock(descriptor: int) -> bool:
    """Take the exclusive flock of an open file if nobody holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
