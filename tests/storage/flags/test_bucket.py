"""Flags in the bucket: which keys they have."""

from __future__ import annotations

from storage.clock import SystemClock
from storage.flags.bucket import BucketFlags
from storage.flags.flag import Flag, ServedMode
from storage.objects.memory import MemoryStore


async def test_each_environment_has_its_own_flags() -> None:
    store = MemoryStore(SystemClock())
    await BucketFlags(store, "dev").put("alice", Flag(ServedMode.ACTOR))
    assert [info.key for info in (await store.list("")).objects] == ["dev/flags/migrated:alice"]
    assert await BucketFlags(store, "prod").get("alice") is None


async def test_the_rollouts_document_is_no_flag() -> None:
    store = MemoryStore(SystemClock())
    await store.put("dev/flags/rollout", b"{}")
    assert [user async for user in BucketFlags(store, "dev").users()] == []
