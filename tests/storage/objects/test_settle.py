"""Settled writes: every order of accidents ends in the truth, and an unsettled outcome is never reported as an end."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import pytest

from storage.clock import SystemClock
from storage.errors import (
    InvalidRequest,
    ObjectNotFound,
    OutcomeUnknown,
    PreconditionFailed,
    StoreRefused,
    Unavailable,
)
from storage.objects.checksum import md5_hex
from storage.objects.memory import MemoryStore
from storage.objects.port import ObjectInfo, StoredObject
from storage.objects.settle import PUT_ID_KEY, Finding, Settled, Taken, judge, put_settled
from tests.servers import S3Server
from tests.storage.objects.stores import QuickClock, s3_store
from tests.storage.objects.unreliable import Fate, unreliable_proxy

KEY = "dev/slot"


class TickingClock(SystemClock):
    """Each reading is one second later; sleeps are noted and take as long as they say."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.sleeps: list[float] = []

    def now(self) -> float:
        self.time += 1.0
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


class LossyStore(MemoryStore):
    """Meets each put and each head with the next accident of a list."""

    def __init__(self, puts: Iterable[str] = (), heads: Iterable[str] = ()) -> None:
        super().__init__(SystemClock())
        self.puts = iter(puts)
        self.heads = deque(heads)
        self.sent: list[tuple[bytes, dict[str, str], object]] = []
        self.sent_200 = asyncio.Event()
        self.between: Callable[[], None] = lambda: None

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
        if len(self.sent) == 200:
            self.sent_200.set()
        self.sent.append((body, dict(metadata or {}), if_none_match or if_match))
        accident = next(self.puts, "pass")
        if accident == "lost request":
            raise OutcomeUnknown("lost")
        if accident == "refused":
            raise Unavailable("429", retry_after_s=3.0)
        if accident == "forbidden":
            raise StoreRefused("403")
        info = await super().put(
            key,
            body,
            metadata=metadata,
            content_type=content_type,
            if_none_match=if_none_match,
            if_match=if_match,
        )
        if accident == "lost answer":
            self.between()
            raise OutcomeUnknown("lost")
        return info

    async def head(self, key: str) -> ObjectInfo:
        if self.heads and self.heads.popleft() == "fails":
            raise Unavailable("no answer")
        return await super().head(key)


async def settle(
    store: MemoryStore,
    body: bytes = b"ours",
    *,
    clock: TickingClock | None = None,
    if_match: str | None = None,
    attempts_max: int | None = 8,
) -> Settled | Taken:
    return await put_settled(
        store,
        KEY,
        body,
        put_id="our-put",
        clock=clock or TickingClock(),
        rng=random.Random(1),
        metadata={"holdfast-kind": "segment"},
        if_none_match=None if if_match else "*",
        if_match=if_match,
        attempts_max=attempts_max,
    )


async def put_as(store: MemoryStore, put_id: str, body: bytes = b"theirs") -> ObjectInfo:
    return await MemoryStore.put(store, KEY, body, metadata={PUT_ID_KEY: put_id})


def an_object(put_id: str | None = None, body: bytes = b"x") -> ObjectInfo:
    return ObjectInfo(KEY, len(body), md5_hex(body), 0.0, {PUT_ID_KEY: put_id} if put_id else {})


@pytest.mark.parametrize(
    ("found", "if_match", "expected"),
    [
        (an_object("ours"), None, Finding.OURS),
        (an_object("theirs"), None, Finding.TAKEN),
        (an_object(None), None, Finding.TAKEN),
        (None, None, Finding.SEND_AGAIN),
        (an_object("ours"), md5_hex(b"base"), Finding.OURS),
        (an_object("theirs"), md5_hex(b"base"), Finding.TAKEN),
        (an_object("theirs", b"base"), md5_hex(b"base"), Finding.SEND_AGAIN),
        (None, md5_hex(b"base"), Finding.TAKEN),
    ],
)
def test_what_is_found_decides(found: ObjectInfo | None, if_match: str | None, expected: Finding) -> None:
    assert judge(found, put_id="ours", if_match=if_match) is expected


async def test_an_answered_put_is_settled_at_once() -> None:
    store = LossyStore()
    end = await settle(store)
    assert end == Settled(await store.head(KEY), 1001.0, 0)
    assert store.sent == [(b"ours", {"holdfast-kind": "segment", PUT_ID_KEY: "our-put"}, "*")]


async def test_rule_1_the_identical_request_is_sent_until_settled() -> None:
    store = LossyStore(["lost request", "refused", "lost request", "lost answer"])
    clock = TickingClock()
    end = await settle(store, clock=clock)
    assert isinstance(end, Settled)
    assert end.resends == 4
    assert len(store.sent) == 5
    assert all(sent == store.sent[0] for sent in store.sent)
    assert (await store.get(KEY)).body == b"ours"
    assert len(clock.sleeps) == 4
    assert clock.sleeps[1] == 3.0  # the store's Retry-After


async def test_rule_7a_first_sent_at_is_before_the_first_send_whatever_came_later() -> None:
    clock = TickingClock()
    end = await settle(LossyStore(["lost request"] * 6), clock=clock)
    assert isinstance(end, Settled)
    assert end.first_sent_at == 1001.0
    assert clock.time - end.first_sent_at > 4.0


async def test_rule_1_a_lost_answer_is_recognised_by_its_put_id() -> None:
    store = LossyStore(["lost answer"])
    end = await settle(store)
    assert end == Settled(await store.head(KEY), 1001.0, 1)


async def test_rule_1_anothers_object_in_the_slot_is_taken() -> None:
    store = LossyStore()
    theirs = await put_as(store, "their-put")
    assert await settle(store) == Taken(theirs)


async def test_an_object_without_a_put_id_is_taken() -> None:
    store = LossyStore()
    info = await MemoryStore.put(store, KEY, b"by hand")
    assert await settle(store) == Taken(info)


async def test_a_look_that_fails_settles_nothing() -> None:
    store = LossyStore(["lost answer"], heads=["fails", "fails"])
    end = await settle(store)
    assert isinstance(end, Settled)
    assert end.resends == 3
    with pytest.raises(OutcomeUnknown):
        await settle(LossyStoreWithTheirs(heads=["fails"] * 9), attempts_max=3)


async def test_a_slot_emptied_between_refusal_and_look_is_sent_again() -> None:
    store = LossyStore(["lost answer"])
    await put_as(store, "their-put")
    looks = 0
    head = store.head

    async def head_after_deletion(key: str) -> ObjectInfo:
        nonlocal looks
        looks += 1
        if looks == 1:
            await store.delete(key)
        return await head(key)

    store.head = head_after_deletion  # type: ignore[method-assign]
    end = await settle(store)
    assert isinstance(end, Settled)
    assert end.info.metadata[PUT_ID_KEY] == "our-put"


async def test_an_update_overwritten_after_ours_landed_is_taken_with_what_is_there() -> None:
    store = LossyStore(["lost answer"])
    base = await MemoryStore.put(store, KEY, b"base")
    store.between = lambda: store._objects.update(_theirs())
    end = await settle(store, if_match=base.etag)
    assert isinstance(end, Taken)
    assert end.info is not None
    assert end.info.metadata[PUT_ID_KEY] == "their-put"


async def test_an_update_of_a_missing_object_is_taken_by_nobody() -> None:
    assert await settle(LossyStore(), if_match="0" * 32) == Taken(None)


async def test_an_update_settles_on_its_base() -> None:
    store = LossyStore(["lost request", "lost answer"])
    base = await MemoryStore.put(store, KEY, b"base")
    end = await settle(store, if_match=base.etag)
    assert isinstance(end, Settled)
    assert (await store.get(KEY)).body == b"ours"


async def test_with_a_bound_the_open_end_is_an_error_never_an_end() -> None:
    with pytest.raises(OutcomeUnknown, match="not settled after 3 sends"):
        await settle(LossyStore(itertools.repeat("lost request")), attempts_max=3)
    with pytest.raises(Unavailable) as caught:
        await settle(LossyStore(itertools.repeat("refused")), attempts_max=3)
    assert type(caught.value) is Unavailable


async def test_a_refusal_for_good_is_raised_and_keeps_an_earlier_send_open() -> None:
    with pytest.raises(StoreRefused):
        await settle(LossyStore(["forbidden"]))
    with pytest.raises(OutcomeUnknown) as caught:
        await settle(LossyStore(["lost answer", "forbidden"]))
    assert isinstance(caught.value.__cause__, StoreRefused)


async def test_without_a_bound_it_goes_on_until_cancelled() -> None:
    store = LossyStore(itertools.repeat("lost request"))
    task = asyncio.create_task(settle(store, attempts_max=None))
    await store.sent_200.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_waits_grow_to_a_bound_and_vary() -> None:
    clock = TickingClock()
    await settle(LossyStore(["lost request"] * 12), clock=clock, attempts_max=None)
    assert clock.sleeps[0] <= 0.1
    assert all(2.5 <= seconds <= 5.0 for seconds in clock.sleeps[6:])
    assert len(set(clock.sleeps)) == len(clock.sleeps)


async def test_exactly_one_condition_is_needed() -> None:
    with pytest.raises(InvalidRequest):
        await put_settled(LossyStore(), KEY, b"", put_id="p", clock=TickingClock(), rng=random.Random(1))


@pytest.mark.parametrize(
    "accidents", list(itertools.product(["pass", "lost request", "lost answer", "refused"], repeat=3))
)
@pytest.mark.parametrize("rival", ["none", "first", "between"])
async def test_every_order_of_accidents_ends_in_the_truth(accidents: tuple[str, ...], rival: str) -> None:
    store = LossyStore(list(accidents))
    if rival == "first":
        await put_as(store, "their-put")
    elif rival == "between":

        async def rival_puts(seconds: float) -> None:
            with_rival = MemoryStore.put(store, KEY, b"theirs", metadata={PUT_ID_KEY: "them"}, if_none_match="*")
            try:
                await with_rival
            except PreconditionFailed:
                pass

        clock = TickingClock()
        clock.sleep = rival_puts  # type: ignore[method-assign]
    end = await settle(store, clock=clock if rival == "between" else None)
    stored = await store.get(KEY)
    assert isinstance(end, Settled) == (stored.info.metadata[PUT_ID_KEY] == "our-put")
    assert end.info == stored.info


@pytest.mark.system
@pytest.mark.parametrize(
    "fates",
    [
        [Fate.LOSE_ANSWER],
        [Fate.FAIL_AFTER],
        [Fate.LOSE_REQUEST, Fate.ANSWER_429, Fate.LOSE_ANSWER],
        [Fate.ANSWER_500, Fate.ANSWER_503, Fate.ANSWER_409],
        [Fate.STALL, Fate.FAIL_AFTER],
    ],
)
async def test_over_http_lost_answers_settle_by_put_id(seaweedfs: S3Server, fates: list[Fate]) -> None:
    async with unreliable_proxy(seaweedfs.endpoint) as proxy:
        through = S3Server("proxy", proxy.endpoint)
        store = s3_store(through, _bucket(seaweedfs), read_timeout_s=0.5)
        key = f"dev/{random.SystemRandom().getrandbits(64)}"
        ends = []
        for put_id, body in (("first", b"1"), ("second", b"2")):
            proxy.then(fates)
            ends.append(
                await put_settled(
                    store, key, body, put_id=put_id, clock=QuickClock(), rng=random.Random(1), if_none_match="*"
                )
            )
        won, lost = ends
        assert isinstance(won, Settled)
        assert isinstance(lost, Taken)
        assert lost.info is not None
        assert won.info.etag == lost.info.etag == md5_hex(b"1")
        assert lost.info.metadata[PUT_ID_KEY] == "first"
        proxy.then(fates)
        update = await put_settled(
            store, key, b"3", put_id="third", clock=QuickClock(), rng=random.Random(1), if_match=won.info.etag
        )
        assert isinstance(update, Settled)
        assert (await store.get(key)).body == b"3"
        await store.close()


class LossyStoreWithTheirs(LossyStore):
    """Refuses every create."""

    async def put(self, key: str, body: bytes, **_: object) -> ObjectInfo:
        raise PreconditionFailed("taken")

    async def head(self, key: str) -> ObjectInfo:
        if self.heads:
            self.heads.popleft()
            raise Unavailable("no answer")
        raise ObjectNotFound(key)


_buckets: dict[str, str] = {}


def _bucket(server: S3Server) -> str:
    if server.endpoint not in _buckets:
        _buckets[server.endpoint] = server.new_bucket()
    return _buckets[server.endpoint]


def _theirs() -> dict[str, StoredObject]:
    return {KEY: StoredObject(an_object("their-put", b"theirs"), b"theirs")}
