"""Keys of the local store in byte order, found by walking folders lazily. Blocking.

Byte order of whole keys is the order of names when a folder's name counts with its slash: `a.txt` (0x2e) comes before
`a/b` (0x2f) and `a0` after it. Folders that cannot hold a wanted key are not opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

from storage.errors import ObjectNotFound
from storage.objects.key import KEY_BYTES_MAX, key_problem
from storage.objects.local_errors import translated
from storage.objects.local_reader import ObjectReader
from storage.objects.port import ObjectInfo


class TooManyEntries(Exception):
    """The walk saw more folder entries than its caller wanted to wait for."""


class Walk:
    """One listing. `entries_max` bounds the folder entries looked at (None: no bound)."""

    def __init__(self, root: str, prefix: str, start_after: str, entries_max: int | None = None) -> None:
        self._root = root
        self._prefix = prefix.encode()
        self._after = start_after.encode()
        self._entries_left = entries_max

    def keys(self) -> Iterator[str]:
        """Keys in byte order. Raises TooManyEntries, OSError."""
        folder, _, _ = self._prefix.rpartition(b"/")
        return self._below(folder + b"/" if folder else b"")

    def _below(self, folder: bytes) -> Iterator[str]:
        """Keys below `folder`, which is empty or ends in a slash."""
        for name, is_folder in self._entries(folder):
            key = folder + name
            if is_folder and len(key) <= KEY_BYTES_MAX:
                yield from self._below(key)
            elif not is_folder:
                yield key.decode()

    def _entries(self, folder: bytes) -> list[tuple[bytes, bool]]:
        found = []
        try:
            with os.scandir(os.path.join(os.fsencode(self._root), folder)) as entries:
                for entry in entries:
                    self._count()
                    if (wanted := self._wanted(folder, entry)) is not None:
                        found.append(wanted)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(found)

    def _count(self) -> None:
        if self._entries_left is not None:
            self._entries_left -= 1
            if self._entries_left < 0:
                raise TooManyEntries

    def _wanted(self, folder: bytes, entry: os.DirEntry[bytes]) -> tuple[bytes, bool] | None:
        """The entry's name (with a slash if a folder) when a wanted key may begin with it."""
        is_folder = entry.is_dir()
        if not is_folder and not entry.is_file(follow_symlinks=False):
            return None
        name = entry.name + b"/" if is_folder else entry.name
        key = folder + name
        shared = min(len(key), len(self._prefix))
        if key[:shared] != self._prefix[:shared] or (not is_folder and len(key) < len(self._prefix)):
            return None
        if key <= self._after and not (is_folder and self._after.startswith(key)):
            return None
        return (name, is_folder) if _is_key(folder + entry.name) else None


def list_page(
    reader: ObjectReader, walk: Walk, limit: int, *, bytes_max: int | None = None
) -> tuple[list[ObjectInfo], str | None]:
    """At most `limit` objects, and the key to go on after. Raises TooManyEntries also when a body longer than
    `bytes_max` would have to be read to tell its MD5."""
    objects: list[ObjectInfo] = []
    with translated("list"):
        keys = walk.keys()
        while len(objects) < limit:
            batch = list(islice(keys, limit - len(objects)))
            if not batch:
                return objects, None
            for key in batch:
                try:
                    info = reader.list_info(key, bytes_max)
                except ObjectNotFound:
                    continue  # deleted meanwhile
                if info is None:
                    raise TooManyEntries
                objects.append(info)
        more = next(keys, None) is not None
    return objects, objects[-1].key if more else None


def _is_key(name: bytes) -> bool:
    try:
        return key_problem(name.decode()) is None
    except UnicodeDecodeError:
        return False
