"""Copies that a listing cannot vouch for carry what can."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrate.layout.copying import compared, copy_all, copy_verified
from migrate.layout.errors import LayoutConflict
from migrate.layout.plan import SOURCE_ETAG, Inventory, Move
from migrate.layout.report import UnitReport
from storage.objects.port import ListPage, ObjectInfo
from tests.migrate.layout.flat_bucket import FailingStore, a_flat_bucket


class Multipart(FailingStore):
    """Objects in the old place look uploaded in parts: their ETag is not their content's."""

    async def head(self, key: str) -> ObjectInfo:
        return _in_parts(await self.inner.head(key))

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 1000) -> ListPage:
        page = await self.inner.list(prefix, start_after=start_after, limit=limit)
        return replace(page, objects=tuple(_in_parts(info) for info in page.objects))


def _in_parts(info: ObjectInfo) -> ObjectInfo:
    return info if info.key.startswith("new/") else replace(info, etag=f"{info.etag}-2")


async def test_a_copy_of_a_multipart_upload_carries_its_etag_and_is_found_the_same() -> None:
    store = Multipart(await a_flat_bucket({"old/x": b"12345", "new/other": b""}))
    move = Move(await store.head("old/x"), "new/x")
    report = UnitReport("u")
    await copy_all(store, [move], report)
    assert (await store.inner.head("new/x")).metadata == {SOURCE_ETAG: move.source.etag}
    assert (await compared(store, [move], ["new/"], Inventory())).same == (move,)
    assert (report.copied.objects, report.copied.bytes) == (1, 5)


async def test_a_copy_that_differs_from_its_source_is_found_out() -> None:
    class Garbles(FailingStore):
        async def copy(self, source: str, target: str, **kind: object) -> ObjectInfo:
            return await self.inner.put(target, b"54321")

    store = Garbles(await a_flat_bucket({"old/x": b"12345"}))
    move = Move(await store.head("old/x"), "new/x")
    with pytest.raises(LayoutConflict):
        await copy_verified(store, move)
    with pytest.raises(LayoutConflict):
        await compared(store, [move], ["new/"], Inventory())
