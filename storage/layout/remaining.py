"""How much of the flat layout is still there: for the warning of `serve` and the migration's list of users.

Folders of other layouts are stepped over, so that a large bucket costs one LIST per folder at its root and one per
1,000 old objects. Counting stops at a bound; `more` then says so.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from storage.errors import InvalidRequest
from storage.layout.address import ENVIRONMENTS, check_id
from storage.layout.flat import GAMES
from storage.objects.key import key_problem
from storage.objects.port import ObjectStore

COUNT_MAX = 100_000
_OTHER_ROOTS = frozenset((*ENVIRONMENTS, "users"))
_BEHIND = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Remaining:
    """Flat objects and whose they are. `strange` counts root folders that no user can have."""

    objects: int = 0
    users: int = 0
    games: int = 0
    strange: int = 0
    more: bool = False

    def describe(self) -> str:
        """`12 objects of 3 users and 2 games`."""
        count = f"{'more than ' if self.more else ''}{self.objects} objects"
        return f"{count} of {self.users} users" + (f" and {self.games} games" if self.games else "")


async def root_folders(store: ObjectStore) -> AsyncIterator[str]:
    """First parts of all keys that have more than one, in the order of keys."""
    start_after = ""
    while True:
        page = await store.list("", start_after=start_after, limit=1)
        if not page.objects:
            return
        folder, slash, _ = page.objects[0].key.partition("/")
        if slash:
            yield folder
        start_after = f"{folder}/{_BEHIND}" if slash else folder


def is_flat_user(folder: str) -> bool:
    """Whether a root folder may be a user's."""
    try:
        return bool(check_id(folder, "user"))
    except InvalidRequest:
        return False


async def count_flat_keys(store: ObjectStore, *, count_max: int = COUNT_MAX) -> Remaining:
    """What a bucket still holds in the flat layout."""
    found = Remaining()
    async for folder in root_folders(store):
        if folder in _OTHER_ROOTS:
            continue
        left = count_max - found.objects - found.games
        found = _with(found, folder, await _count(store, f"{folder}/", left + 1), left)
        if found.more:
            break
    return found


def count_flat_files(root: Path, *, count_max: int = COUNT_MAX) -> Remaining:
    """The same for a local tree, by its folders alone: no file is opened. Blocking. Raises OSError."""
    found = Remaining()
    for folder in sorted(entry.name for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)):
        if folder in _OTHER_ROOTS or key_problem(folder):
            continue
        left = count_max - found.objects - found.games
        found = _with(found, folder, _count_files(root / folder, left + 1), left)
        if found.more:
            break
    return found


def _with(found: Remaining, folder: str, count: int, left: int) -> Remaining:
    more, count = count > left, min(count, left)
    if not count and not more:
        return found
    if folder == GAMES:
        return Remaining(found.objects, found.users, found.games + count, found.strange, more)
    if not is_flat_user(folder):
        return Remaining(found.objects, found.users, found.games, found.strange + 1, found.more)
    return Remaining(found.objects + count, found.users + 1, found.games, found.strange, more)


async def _count(store: ObjectStore, prefix: str, count_max: int) -> int:
    count, start_after = 0, ""
    while count < count_max:
        page = await store.list(prefix, start_after=start_after)
        count += len(page.objects)
        if page.next_start_after is None:
            break
        start_after = page.next_start_after
    return min(count, count_max)


def _count_files(folder: Path, count_max: int) -> int:
    count = 0
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not key_problem(name)]
        count += sum(1 for name in files if not key_problem(name))
        if count >= count_max:
            break
    return min(count, count_max)
