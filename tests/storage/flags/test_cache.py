"""A gateway's memory of flags."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from storage.errors import Unavailable
from storage.flags.cache import FAILURE_TTL_S, FlagCache
from storage.flags.flag import Flag, ServedMode
from tests.storage.flags.stores import PassingClock

ACTOR, R2 = Flag(ServedMode.ACTOR), Flag(ServedMode.R2)


class Flags:
    """A store that can be away, and can be made to wait."""

    staleness_s = 0.0

    def __init__(self) -> None:
        self.values: dict[str, Flag] = {}
        self.away = False
        self.reads = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def get(self, user: str) -> Flag | None:
        self.reads += 1
        found = self.values.get(user)
        await self.go_on.wait()
        if self.away:
            raise Unavailable("away")
        return found

    async def put(self, user: str, flag: Flag) -> None:
        raise AssertionError

    async def delete(self, user: str) -> None:
        raise AssertionError

    async def users(self) -> AsyncIterator[str]:
        raise AssertionError
        yield ""

    async def close(self) -> None:
        return None


def made(users_max: int = 10) -> tuple[Flags, PassingClock, FlagCache]:
    flags, clock = Flags(), PassingClock()
    return flags, clock, FlagCache(flags, clock, ttl_s=30.0, users_max=users_max)


async def test_a_flag_and_a_miss_are_read_once_per_time_to_live() -> None:
    flags, clock, cache = made()
    flags.values["alice"] = ACTOR
    for _ in range(3):
        assert (await cache.get("alice"), await cache.get("bob")) == (ACTOR, None)
    assert flags.reads == 2
    flags.values["bob"] = ACTOR
    clock.pass_time(29.9)
    assert await cache.get("bob") is None
    clock.pass_time(0.1)
    assert cache.cached("bob") is None
    assert await cache.get("bob") == ACTOR


async def test_many_who_ask_at_once_cause_one_reading() -> None:
    flags, _, cache = made()
    flags.values["alice"] = ACTOR
    flags.go_on.clear()
    asking = [asyncio.create_task(cache.get("alice")) for _ in range(10)]
    await asyncio.sleep(0)
    flags.go_on.set()
    assert await asyncio.gather(*asking) == [ACTOR] * 10
    assert flags.reads == 1


async def test_one_who_gives_up_does_not_spoil_it_for_the_others() -> None:
    flags, _, cache = made()
    flags.go_on.clear()
    first, second = asyncio.create_task(cache.get("alice")), asyncio.create_task(cache.get("alice"))
    await asyncio.sleep(0)
    first.cancel()
    flags.go_on.set()
    assert await second is None


async def test_a_store_that_is_away_leaves_the_flag_of_before_in_force_and_is_asked_soon_again() -> None:
    flags, clock, cache = made()
    flags.values["alice"] = ACTOR
    await cache.get("alice")
    flags.away = True
    clock.pass_time(31.0)
    assert (await cache.get("alice"), await cache.get("bob")) == (ACTOR, None)
    assert cache.failures == 2
    reads = flags.reads
    assert await cache.get("alice") == ACTOR
    assert flags.reads == reads
    flags.away, flags.values["alice"] = False, R2
    clock.pass_time(FAILURE_TTL_S)
    assert await cache.get("alice") == R2


async def test_what_the_gateway_learned_itself_counts_until_it_is_forgotten() -> None:
    flags, _, cache = made()
    cache.remember("alice", ACTOR)
    assert (await cache.get("alice"), flags.reads) == (ACTOR, 0)
    cache.forget("alice")
    assert (await cache.get("alice"), flags.reads) == (None, 1)


async def test_a_reading_begun_before_forgetting_is_not_remembered() -> None:
    flags, _, cache = made()
    flags.values["alice"] = R2
    flags.go_on.clear()
    early = asyncio.create_task(cache.get("alice"))
    await asyncio.sleep(0)
    cache.forget("alice")
    flags.values["alice"] = ACTOR
    flags.go_on.set()
    await early
    assert await cache.get("alice") == ACTOR


async def test_a_bounded_number_of_users_is_remembered() -> None:
    _, _, cache = made(users_max=2)
    for user in ("a", "b", "c"):
        await cache.get(user)
    assert (cache.cached("a"), cache.cached("c") is not None) == (None, True)
