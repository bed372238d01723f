"""How much is left of the flat layout, in a bucket and in a local tree."""

from __future__ import annotations

from pathlib import Path

from storage.clock import SystemClock
from storage.layout.remaining import Remaining, count_flat_files, count_flat_keys
from storage.objects.local import LocalStore
from storage.objects.memory import MemoryStore

KEYS = (
    "ana/database.sqlite",
    "ana/games/x.mp4",
    "ben/profiles/p/database.sqlite",
    "games/a.mp4",
    "bad id/x",
    "dev/users/cal/profiles/p/x",
    "users/u/projects/p/output/x.mp4",
    "prod/games/x.mp4",
)


async def test_users_objects_and_games_are_counted() -> None:
    store = MemoryStore(SystemClock())
    for key in (*KEYS, "bare.mp4"):
        await store.put(key, b"")
    found = await count_flat_keys(store)
    assert found == Remaining(objects=3, users=2, games=1, strange=1)
    assert found.describe() == "3 objects of 2 users and 1 games"


async def test_counting_stops_at_a_bound_and_says_so() -> None:
    store = MemoryStore(SystemClock())
    for key in KEYS:
        await store.put(key, b"")
    found = await count_flat_keys(store, count_max=1)
    assert (found.objects, found.more) == (1, True)
    assert found.describe().startswith("more than 1 objects")


async def test_a_local_tree_is_counted_without_opening_a_file(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, SystemClock())
    for key in KEYS:
        await store.put(key, b"x")
    await store.close()
    (tmp_path / "empty-user").mkdir()
    for path in tmp_path.rglob("*.sqlite"):
        path.chmod(0)
    assert count_flat_files(tmp_path) == Remaining(objects=3, users=2, games=1, strange=1)
    assert count_flat_files(tmp_path, count_max=1).more
