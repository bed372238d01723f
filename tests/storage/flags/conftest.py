"""One `case` fixture that runs a test over every store of flags."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.clock import SystemClock
from storage.flags.bucket import BucketFlags
from storage.objects.local import LocalStore
from storage.objects.memory import MemoryStore
from tests.storage.flags.stores import Case, workers_kv


@pytest.fixture(params=["memory", "local", "workers_kv"])
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Case]:
    if request.param == "workers_kv":
        async with workers_kv() as kv:
            yield Case(kv.flags, lambda: kv.clock.pass_time(kv.flags.staleness_s))
        return
    clock = SystemClock()
    store = MemoryStore(clock) if request.param == "memory" else LocalStore(tmp_path / "data", clock)
    try:
        yield Case(BucketFlags(store, "dev"), lambda: None)
    finally:
        await store.close()
