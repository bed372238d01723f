"""Folders of the local store: made when first needed, durable before an object in them is acknowledged. Blocking.

A folder is never removed by the store, so what this process once found durable stays so; a folder that somebody else
removed by hand is noticed by the failing rename and made again.
"""

from __future__ import annotations

import os

KNOWN_FOLDERS_MAX = 100_000


class Folders:
    """The folders below `root`, which exists."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._durable: set[str] = set()

    def make(self, folder: str) -> None:
        """Make `folder` and those above it if this process has not seen them. OSError when a file is in the way."""
        if folder not in self._durable:
            os.makedirs(folder, exist_ok=True)

    def make_again(self, folder: str) -> None:
        """Make `folder` after it was found missing: nothing known about those above it holds any more."""
        self._durable.clear()
        os.makedirs(folder, exist_ok=True)

    def sync(self, folder: str) -> None:
        """Make the names in `folder` durable, and its own and those of the folders above it unless known to be."""
        sync_folder(folder)
        fresh = []
        while folder != self._root and folder not in self._durable:
            fresh.append(folder)
            folder = os.path.dirname(folder)
            sync_folder(folder)
        if len(self._durable) + len(fresh) > KNOWN_FOLDERS_MAX:
            self._durable.clear()
        self._durable.update(fresh)


def sync_folder(folder: str) -> None:
    """fsync of a folder: the names in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
