"""The object store that the settings name, opened for reading what lies in it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.settings import Settings
from storage.clock import SystemClock
from storage.errors import InvalidRequest
from storage.layout.address import Address
from storage.log.actor_log import ActorLog
from storage.objects.build import open_store
from storage.objects.port import ObjectStore


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[ObjectStore]:
    """The store, closed afterwards. A data directory that does not exist is an error, not made."""
    root = settings.store.root
    if root is not None and not root.is_dir():
        raise InvalidRequest(f"data directory {root}: does not exist; --data-dir or --bucket names another store")
    store = open_store(settings.store, clock=SystemClock(), rng=random.Random())
    try:
        yield store
    finally:
        await store.close()


def log_of(store: ObjectStore, env: str, address: Address) -> ActorLog:
    """The log of one address."""
    return ActorLog(store, env, address, SystemClock(), random.Random())
