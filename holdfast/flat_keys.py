"""The warning of `serve` while objects remain in the flat layout, with their count."""

from __future__ import annotations

import asyncio
import logging

from holdfast.settings import Settings
from storage.errors import HoldfastError
from storage.layout.remaining import Remaining, count_flat_files, count_flat_keys
from storage.objects.port import ObjectStore

log = logging.getLogger(__name__)


async def warn_of_flat_keys(store: ObjectStore, settings: Settings) -> None:
    """One log line if there are any; a store that cannot be counted is one too. A local tree is counted by its folders,
    so that no video is read for it."""
    root = settings.store.root
    try:
        if root is not None:
            found = await asyncio.to_thread(count_flat_files, root)
        else:
            found = await count_flat_keys(store)
    except (HoldfastError, OSError) as error:
        log.warning("objects of the flat layout not counted: %s", error)
        return
    if found.objects or found.games:
        log.warning("%s", message(found), extra={"objects": found.objects, "users": found.users, "games": found.games})


def message(found: Remaining) -> str:
    """What is left, and which command moves or deletes it."""
    return (
        f"the flat layout still holds {found.describe()}: `holdfast layout status` says how far each has moved, "
        "`holdfast layout migrate` moves them, `holdfast layout finalize` ends it"
    )
