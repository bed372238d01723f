"""The probe passes good stores, refuses broken ones naming the step, and disturbs nobody."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any, Literal

import pytest

from storage.clock import SystemClock
from storage.errors import OutcomeUnknown, PreconditionFailed, StoreRefused, Unavailable
from storage.objects.memory import MemoryStore
from storage.objects.port import ListPage, ObjectInfo
from storage.objects.probe import LEFTOVER_AGE_S, UnsafeStore, probe_prefix, probe_store
from tests.storage.objects.stores import Case, QuickClock


class BrokenStore(MemoryStore):
    """Breaks one promise."""

    def __init__(self, breaks: str) -> None:
        super().__init__(SystemClock())
        self.breaks = breaks

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        if_none_match: Literal["*"] | None = None,
        if_match: str | None = None,
    ) -> ObjectInfo:
        if self.breaks in ("if-none-match", "all conditions"):
            if_none_match = None
        if self.breaks in ("if-match", "all conditions"):
            if_match = None
        if self.breaks == "stale if-match" and key in self._objects:
            if_match = None
        if self.breaks == "refuses creates" and if_none_match:
            raise PreconditionFailed("no")
        if self.breaks == "refuses updates" and if_match:
            raise PreconditionFailed("no")
        if self.breaks == "metadata":
            metadata = None
        try:
            info = await super().put(
                key,
                body,
                metadata=metadata,
                content_type=content_type,
                if_none_match=if_none_match,
                if_match=if_match,
            )
        except PreconditionFailed:
            if self.breaks == "refuses and writes":
                await super().put(key, body, metadata={})
            raise
        if self.breaks == "etag":
            return ObjectInfo(key, info.size, "0" * 32, info.modified_at)
        return info

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 1000) -> ListPage:
        page = await super().list(prefix, start_after=start_after, limit=limit)
        return ListPage((), None, page.store_time) if self.breaks == "listing" else page

    async def delete(self, key: str) -> None:
        if self.breaks != "deletes":
            await super().delete(key)


async def test_every_store_passes_and_keeps_nothing(case: Case) -> None:
    env = case.prefix.rstrip("/")
    report = await probe_store(case.store, env, SystemClock(), random.Random())
    assert len(report.steps) == 7
    assert (await case.store.list(probe_prefix(env))).objects == ()


@pytest.mark.parametrize(
    ("breaks", "step"),
    [
        ("all conditions", "refuse to create it again"),
        ("if-none-match", "refuse to create it again"),
        ("if-match", "refuse an update on a stale etag"),
        ("stale if-match", "refuse an update on a stale etag"),
        ("refuses and writes", "refuse to create it again"),
        ("refuses creates", "create an absent object"),
        ("refuses updates", "update it on its etag"),
        ("etag", "create an absent object"),
        ("metadata", "read it back with its metadata"),
        ("listing", "list it at once, by the store's clock"),
        ("deletes", "delete it, and refuse an update of what is absent"),
    ],
)
async def test_a_store_that_breaks_a_promise_is_refused_naming_the_step(breaks: str, step: str) -> None:
    store = BrokenStore(breaks)
    with pytest.raises(UnsafeStore) as caught:
        await probe_store(store, "dev", QuickClock(), random.Random(1))
    assert caught.value.details["step"] == step
    assert f"{step}: " in caught.value.message
    if breaks != "deletes":
        assert not store._objects


async def test_accidents_on_the_way_do_not_fail_a_good_store() -> None:
    class Lossy(MemoryStore):
        sends = 0

        async def put(self, key: str, body: bytes, **options: Any) -> ObjectInfo:
            self.sends += 1
            if self.sends % 3 == 1:
                raise Unavailable("429")
            info = await super().put(key, body, **options)
            if self.sends % 3 == 2:
                raise OutcomeUnknown("the answer was lost")
            return info

    report = await probe_store(Lossy(SystemClock()), "dev", QuickClock(), random.Random(1))
    assert len(report.steps) == 7


async def test_two_services_may_probe_at_once(case: Case) -> None:
    env = case.prefix.rstrip("/")
    await asyncio.gather(*(probe_store(case.store, env, SystemClock(), random.Random(n)) for n in range(3)))
    assert (await case.store.list(probe_prefix(env))).objects == ()


async def test_a_store_without_permissions_or_answer_is_not_called_unsafe() -> None:
    class Silent(MemoryStore):
        error: Exception = Unavailable("no answer")

        async def put(self, key: str, body: bytes, **_: object) -> ObjectInfo:
            raise self.error

    store = Silent(SystemClock())
    with pytest.raises(Unavailable):
        await probe_store(store, "dev", QuickClock(), random.Random(1))
    store.error = StoreRefused("403")
    with pytest.raises(StoreRefused) as caught:
        await probe_store(store, "dev", QuickClock(), random.Random(1))
    assert not isinstance(caught.value, UnsafeStore)


async def test_leftovers_of_killed_probes_go_after_a_day() -> None:
    class OldClock(SystemClock):
        offset = 0.0

        def wall(self) -> float:
            return super().wall() + self.offset

    clock = OldClock()
    store = MemoryStore(clock)
    clock.offset = -LEFTOVER_AGE_S - 10
    await store.put("dev/.probe/old.json", b"x")
    clock.offset = 0.0
    await store.put("dev/.probe/young.json", b"x")
    await probe_store(store, "dev", QuickClock(), random.Random(1))
    assert [info.key for info in (await store.list("dev/")).objects] == ["dev/.probe/young.json"]
