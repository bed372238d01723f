"""What is counted, and in which of R2's classes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.clock import SystemClock
from storage.errors import ObjectNotFound
from storage.objects.counting import CountingStore, StoreCounts
from storage.objects.memory import MemoryStore
from tests.storage.objects.conftest import LINKS


async def chunks() -> AsyncIterator[bytes]:
    yield b"12"
    yield b"345"


async def test_every_operation_counts_once_in_its_class(tmp_path: Path) -> None:
    store = CountingStore(MemoryStore(SystemClock(), links=LINKS))
    await store.put("a", b"1234")
    await store.put_stream("b", chunks())
    await store.get("a")
    async with store.open("b") as stream:
        assert [chunk async for chunk in stream.chunks] == [b"12345"]
    await store.head("a")
    with pytest.raises(ObjectNotFound):
        await store.head("none")
    await store.list("")
    await store.copy("a", "c")
    await store.delete("c")
    store.presign_get("a", expires_s=1)
    store.presign_put("a", expires_s=1)
    counts = store.counts
    assert counts == StoreCounts(
        {"put": 1, "put_stream": 1, "get": 1, "open": 1, "head": 2, "list": 1, "copy": 1, "delete": 1}, 9, 9
    )
    assert (counts.class_a, counts.class_b) == (4, 4)
    await store.head("a")
    assert counts.class_b == 4  # a snapshot stays as it was
    await store.close()
