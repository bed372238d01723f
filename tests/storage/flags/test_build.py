"""From settings to a store of flags."""

from __future__ import annotations

import random

from storage.clock import SystemClock
from storage.flags.bucket import BucketFlags
from storage.flags.build import open_flags
from storage.flags.settings import FlagSettings
from storage.flags.workers_kv import WorkersKvFlags
from storage.objects.memory import MemoryStore


async def test_each_backend_is_opened_by_its_name() -> None:
    clock = SystemClock()
    kv = FlagSettings(backend="workers_kv", account_id="a", namespace_id="n", api_token="t")
    for settings, kind in ((FlagSettings(), BucketFlags), (kv, WorkersKvFlags)):
        flags = open_flags(settings, store=MemoryStore(clock), env="dev", clock=clock, rng=random.Random(1))
        assert isinstance(flags, kind)
        await flags.close()
