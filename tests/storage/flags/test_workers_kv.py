"""Workers KV: what its documentation says readers and writers must live with."""

from __future__ import annotations

import pytest

from storage.errors import CorruptObject, StoreRefused, Unavailable
from storage.flags.flag import Flag, ServedMode
from storage.flags.workers_kv import WRITE_WAIT_S_MAX
from tests.storage.flags.stores import workers_kv

ACTOR, R2 = Flag(ServedMode.ACTOR), Flag(ServedMode.R2)


async def test_a_miss_is_remembered_for_a_minute_like_a_value() -> None:
    async with workers_kv() as kv:
        assert await kv.flags.get("alice") is None
        await kv.flags.put("alice", ACTOR)
        kv.clock.pass_time(59.0)
        assert await kv.flags.get("alice") is None
        kv.clock.pass_time(1.0)
        assert await kv.flags.get("alice") == ACTOR
        await kv.flags.put("alice", R2)
        assert await kv.flags.get("alice") == ACTOR


async def test_writes_of_one_key_go_a_second_apart_and_others_at_once() -> None:
    async with workers_kv() as kv:
        for user in ("alice", "bob", "alice", "alice"):
            await kv.flags.put(user, ACTOR)
        assert [method for method, _ in kv.server.requests] == ["PUT"] * 4
        assert kv.clock.slept == [1.0, 1.0]


async def test_too_many_writes_of_one_key_are_refused_before_they_are_sent() -> None:
    async with workers_kv() as kv:
        kv.flags._next_write_at["migrated:alice"] = kv.clock.now() + WRITE_WAIT_S_MAX + 1
        with pytest.raises(Unavailable):
            await kv.flags.put("alice", ACTOR)
        assert kv.server.requests == []


async def test_a_write_that_another_writer_delays_is_sent_again() -> None:
    async with workers_kv() as kv:
        kv.server.written_at["migrated:alice"] = kv.clock.now() - 0.9
        await kv.flags.put("alice", ACTOR)
        assert len(kv.server.requests) == 2
        assert kv.clock.slept == [1.0]
        assert b"actor" in kv.server.values["migrated:alice"]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_passing_failure_is_asked_again(status: int) -> None:
    async with workers_kv() as kv:
        kv.server.failures = [(status, {"retry-after": "3"})] * 2
        assert await kv.flags.get("alice") is None
        assert kv.clock.slept == [3.0, 3.0]


async def test_a_lasting_failure_is_unavailable_after_a_bound() -> None:
    async with workers_kv(attempts_max=3) as kv:
        kv.server.failures = [(503, {})] * 9
        with pytest.raises(Unavailable, match="HTTP 503, 3 times"):
            await kv.flags.get("alice")
        assert len(kv.server.requests) == 3


async def test_nobody_listening_is_unavailable() -> None:
    async with workers_kv(api_url="http://127.0.0.1:9", attempts_max=2) as kv:
        with pytest.raises(Unavailable):
            await kv.flags.get("alice")


async def test_a_wrong_token_or_namespace_is_the_operators() -> None:
    async with workers_kv(api_token="other") as kv:
        with pytest.raises(StoreRefused, match="10000"):
            await kv.flags.get("alice")
    async with workers_kv(namespace_id="other") as kv:
        with pytest.raises(StoreRefused, match="10013"):
            await kv.flags.get("alice")
        with pytest.raises(StoreRefused):
            await kv.flags.put("alice", ACTOR)


async def test_the_token_is_in_no_message() -> None:
    async with workers_kv(api_token="wrong-secret") as kv:
        with pytest.raises(StoreRefused) as refused:
            await kv.flags.get("alice")
        assert "wrong-secret" not in str(refused.value)


async def test_pages_are_followed_through_an_empty_one_to_the_last() -> None:
    async with workers_kv() as kv:
        kv.server.page_limit, kv.server.empty_first_page = 2, True
        kv.server.values = {f"migrated:user{number}": b"true" for number in range(5)} | {"other": b"x"}
        assert [user async for user in kv.flags.users()] == [f"user{number}" for number in range(5)]


async def test_an_older_codes_true_is_read_and_other_text_is_corrupt() -> None:
    async with workers_kv() as kv:
        kv.server.values = {"migrated:alice": b"true", "migrated:bob": b"yes"}
        assert await kv.flags.get("alice") == ACTOR
        with pytest.raises(CorruptObject, match="migrated:bob"):
            await kv.flags.get("bob")


async def test_an_endless_answer_is_not_swallowed() -> None:
    async with workers_kv() as kv:
        kv.server.values = {"migrated:alice": b" " * (5 << 20)}
        with pytest.raises(CorruptObject, match="more than"):
            await kv.flags.get("alice")
