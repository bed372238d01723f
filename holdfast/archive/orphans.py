"""Journals that a takeover cut off (rule 6), as they lie in the bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator

from storage.layout.address import Address
from storage.layout.keys import orphan_prefix
from storage.objects.port import ObjectInfo, ObjectStore

ORPHAN_FOLDER = "/log/orphans/"


async def orphans_of(store: ObjectStore, env: str, address: Address) -> AsyncIterator[ObjectInfo]:
    """Those of one address."""
    async for info in list_all(store, orphan_prefix(env, address)):
        yield info


async def orphans_of_everybody(store: ObjectStore, env: str) -> AsyncIterator[ObjectInfo]:
    """Those of every address; lists every object of the environment's users."""
    async for info in list_all(store, f"{env}/users/"):
        if ORPHAN_FOLDER in info.key:
            yield info


async def list_all(store: ObjectStore, prefix: str) -> AsyncIterator[ObjectInfo]:
    """Every object below a prefix, page by page."""
    start_after = ""
    while True:
        page = await store.list(prefix, start_after=start_after)
        for info in page.objects:
            yield info
        if page.next_start_after is None:
            return
        start_after = page.next_start_after
