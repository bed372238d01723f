"""Copies of files: made inside the store, never through this machine, and looked at before they count."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from migrate.layout.errors import LayoutConflict
from migrate.layout.listing import list_all
from migrate.layout.plan import SOURCE_ETAG, Comparison, Inventory, Move, compare, is_multipart, judge
from migrate.layout.report import UnitReport
from storage.errors import HoldfastError, ObjectNotFound
from storage.layout.move_record import Tally
from storage.objects.port import ObjectInfo, ObjectStore

COPIES_AT_ONCE = 8


async def compared(
    store: ObjectStore, moves: Sequence[Move], folders: Iterable[str], inventory: Inventory
) -> Comparison:
    """Each file as `same`, `missing` or `stale`, by listing `folders` and looking where a listing decides nothing.

    Raises LayoutConflict when a target holds what was never copied there.
    """
    targets: dict[str, ObjectInfo] = {}
    wanted = {move.target for move in moves}
    for folder in folders:
        targets |= {info.key: info for info in await list_all(store, folder, wanted=wanted.__contains__)}
    found = compare(moves, targets, inventory)
    same, stale, foreign = list(found.same), list(found.stale), list[Move]()
    for start in range(0, len(found.unsure), COPIES_AT_ONCE):
        batch = found.unsure[start : start + COPIES_AT_ONCE]
        heads = await asyncio.gather(*(store.head(move.target) for move in batch))
        for move, head in zip(batch, heads, strict=True):
            {"same": same, "stale": stale, "foreign": foreign}[judge(move, head, inventory)].append(move)
    if foreign:
        raise LayoutConflict(
            f"{foreign[0].target} differs from {foreign[0].source.key} and is no copy of it"
            + (f" ({len(foreign)} such objects)" if len(foreign) > 1 else "")
        )
    return Comparison(tuple(same), found.missing, tuple(stale))


async def copy_all(store: ObjectStore, moves: Sequence[Move], report: UnitReport) -> None:
    """Copy each file and count it in `report`; one that fails stops no other."""
    for start in range(0, len(moves), COPIES_AT_ONCE):
        batch = moves[start : start + COPIES_AT_ONCE]
        ends = await asyncio.gather(*(_copied(store, move) for move in batch), return_exceptions=True)
        for move, end in zip(batch, ends, strict=True):
            if isinstance(end, ObjectInfo):
                report.copied += Tally(1, end.size)
            elif isinstance(end, HoldfastError):
                report.fail(f"{move.source.key}: {end.message}")
            else:
                raise end


async def copy_verified(store: ObjectStore, move: Move) -> ObjectInfo:
    """Copy one file and check size and ETag of what arrived. Raises LayoutConflict, ObjectNotFound."""
    copied = await _copied(store, move)
    if judge(move, await store.head(move.target), Inventory()) != "same":
        raise LayoutConflict(f"{move.target}: size or etag differs from {move.source.key} after the copy")
    return copied


async def find(store: ObjectStore, key: str) -> ObjectInfo | None:
    """Head, or None where nothing is."""
    try:
        return await store.head(key)
    except ObjectNotFound:
        return None


async def _copied(store: ObjectStore, move: Move) -> ObjectInfo:
    if not is_multipart(move.source.etag):
        return await store.copy(move.source.key, move.target)
    source = await store.head(move.source.key)
    labels = {**source.metadata, SOURCE_ETAG: source.etag}
    return await store.copy(move.source.key, move.target, metadata=labels)
