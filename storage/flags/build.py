"""From settings to a store of flags."""

from __future__ import annotations

import random

from storage.clock import Clock
from storage.flags.bucket import BucketFlags
from storage.flags.port import FlagStore
from storage.flags.settings import FlagSettings
from storage.objects.port import ObjectStore


def open_flags(settings: FlagSettings, *, store: ObjectStore, env: str, clock: Clock, rng: random.Random) -> FlagStore:
    """The flags that `settings` describe, of environment `env`; close them with `close()`. Raises InvalidRequest."""
    settings.validate()
    if settings.backend == "workers_kv":
        from storage.flags.workers_kv import WorkersKvFlags  # here, because httpx costs a process that needs it not

        return WorkersKvFlags(settings, clock=clock, rng=rng)
    return BucketFlags(store, env)
