"""Profiles in the bucket and in memory: first access, races, selection, bounds."""

from __future__ import annotations

import asyncio
import os
import random

import msgspec
import pytest

from gateway.errors import DefaultProfile, ProfileNotFound
from gateway.profile_directory import MISS_RELOAD_S, ProfileDirectory
from gateway.profile_store import ProfileStore
from gateway.settings import GatewaySettings
from storage.errors import CorruptObject, InvalidRequest, OutcomeUnknown, PreconditionFailed
from storage.layout.address import Address
from storage.objects.memory import MemoryStore
from storage.objects.port import ObjectInfo, StoredObject
from tests.gateway.kit import ENV, SetClock


class YieldingStore(MemoryStore):
    """Lets other tasks run before every answer, counts reads, and can lose the answer of a conditional write."""

    def __init__(self, clock: SetClock) -> None:
        super().__init__(clock)
        self.gets = 0
        self.lose_answers = 0

    async def get(self, key: str) -> StoredObject:
        self.gets += 1
        await asyncio.sleep(0)
        return await super().get(key)

    async def put(self, key: str, body: bytes, **conditions: object) -> ObjectInfo:
        await asyncio.sleep(0)
        info = await super().put(key, body, **conditions)  # type: ignore[arg-type]
        if self.lose_answers:
            self.lose_answers -= 1
            raise OutcomeUnknown(f"{key}: no answer")
        return info


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store(clock: SetClock) -> YieldingStore:
    return YieldingStore(clock)


def directory_over(store: MemoryStore, clock: SetClock, **settings: object) -> ProfileDirectory:
    profiles = ProfileStore(store, env=ENV, clock=clock, rng=random.Random(1), random_bytes=os.urandom)
    return ProfileDirectory(profiles, clock=clock, settings=GatewaySettings(**settings))  # type: ignore[arg-type]


async def documents(store: MemoryStore, user: str) -> tuple[object, object]:
    profiles = await store.get(f"dev/users/{user}/profiles.json")
    selected = await store.get(f"dev/users/{user}/selected-profile.json")
    return msgspec.json.decode(profiles.body), msgspec.json.decode(selected.body)


async def test_first_access_creates_both_documents_as_documented(store: YieldingStore, clock: SetClock) -> None:
    address = await directory_over(store, clock).resolve("alice", None)
    assert len(address.profile) == 8
    assert set(address.profile) <= set("0123456789abcdef")
    assert await documents(store, "alice") == (
        {"default": address.profile, "profiles": {address.profile: {"name": None}}},
        {"profileId": address.profile},
    )


async def test_two_gateways_seeing_a_user_first_agree_on_one_default(store: YieldingStore, clock: SetClock) -> None:
    directories = [directory_over(store, clock) for _ in range(5)]
    found = await asyncio.gather(*(directory.resolve("alice", None) for directory in directories))
    assert len(set(found)) == 1


async def test_a_lost_answer_of_the_first_write_still_gives_one_default(store: YieldingStore, clock: SetClock) -> None:
    store.lose_answers = 1
    address = await directory_over(store, clock).resolve("alice", None)
    assert (await documents(store, "alice"))[0] == {
        "default": address.profile,
        "profiles": {address.profile: {"name": None}},
    }


async def test_a_user_is_read_once_for_many_requests_at_a_time(store: YieldingStore, clock: SetClock) -> None:
    await directory_over(store, clock).resolve("alice", None)
    store.gets = 0
    directory = directory_over(store, clock)
    await asyncio.gather(*(directory.resolve("alice", None) for _ in range(20)))
    await directory.resolve("alice", None)
    assert store.gets == 2


async def test_selection_of_another_gateway_is_seen_when_the_time_to_live_ends(
    store: YieldingStore, clock: SetClock
) -> None:
    here, there = directory_over(store, clock, selection_ttl_s=30.0), directory_over(store, clock)
    default = await here.resolve("alice", None)
    await there.change("alice", lambda profiles: profiles.add("cafe0123", "Second", profiles_max=9))
    await there.select("alice", "cafe0123")
    assert (await there.resolve("alice", None)).profile == "cafe0123"
    clock.advance(29.0)
    assert await here.resolve("alice", None) == default
    clock.advance(1.0)
    assert (await here.resolve("alice", None)).profile == "cafe0123"


class HoldingStore(MemoryStore):
    """Holds the answers of the next reading, and the next write, of the selection until told to let go."""

    def __init__(self, clock: SetClock) -> None:
        super().__init__(clock)
        self.hold_put: asyncio.Event | None = None
        self.hold_get: asyncio.Event | None = None
        self.arrived = asyncio.Semaphore(0)

    async def _held(self, hold: asyncio.Event | None) -> None:
        if hold is not None:
            self.arrived.release()
            await hold.wait()

    async def put(self, key: str, body: bytes, **conditions: object) -> ObjectInfo:
        hold, self.hold_put = self.hold_put, None
        await self._held(hold)
        return await super().put(key, body, **conditions)  # type: ignore[arg-type]

    async def get(self, key: str) -> StoredObject:
        found = await super().get(key)
        if key.endswith("selected-profile.json"):
            hold, self.hold_get = self.hold_get, None
            await self._held(hold)
        return found


async def test_selection_is_seen_at_once_even_while_an_older_reading_is_under_way(clock: SetClock) -> None:
    store = HoldingStore(clock)
    directory = directory_over(store, clock)
    await directory.change("alice", lambda profiles: profiles.add("cafe0123", None, profiles_max=9))
    hold_put = store.hold_put = asyncio.Event()
    selecting = asyncio.create_task(directory.select("alice", "cafe0123"))
    await store.arrived.acquire()
    hold_get = store.hold_get = asyncio.Event()
    reading = asyncio.create_task(directory.read("alice"))
    await store.arrived.acquire()  # it has read the old selection, and still has to say so
    hold_put.set()
    await selecting
    hold_get.set()
    await reading
    assert (await directory.resolve("alice", None)).profile == "cafe0123"


async def test_profile_made_elsewhere_is_found_without_waiting_for_the_time_to_live(
    store: YieldingStore, clock: SetClock
) -> None:
    here, there = directory_over(store, clock), directory_over(store, clock)
    await here.resolve("alice", None)
    clock.advance(MISS_RELOAD_S)
    await there.change("alice", lambda profiles: profiles.add("cafe0123", None, profiles_max=9))
    assert await here.resolve("alice", "cafe0123") == Address("alice", "cafe0123")


async def test_unknown_profiles_do_not_make_a_reading_each(store: YieldingStore, clock: SetClock) -> None:
    directory = directory_over(store, clock)
    await directory.resolve("alice", None)
    store.gets = 0
    for number in range(10):
        with pytest.raises(ProfileNotFound):
            await directory.resolve("alice", f"nobody{number}")
    assert store.gets == 0


async def test_remembered_users_are_bounded_and_the_least_recent_goes_first(
    store: YieldingStore, clock: SetClock
) -> None:
    directory = directory_over(store, clock, selection_users_max=2)
    for user in ("a", "b"):
        await directory.resolve(user, None)
    assert directory.cached("a", None) is not None
    await directory.resolve("c", None)
    assert [user for user in ("a", "b", "c") if directory.cached(user, None)] == ["a", "c"]


async def test_selected_profile_that_is_gone_counts_as_the_default(store: YieldingStore, clock: SetClock) -> None:
    directory = directory_over(store, clock)
    default = await directory.resolve("alice", None)
    await store.put("dev/users/alice/selected-profile.json", b'{"profileId":"deadbeef"}')
    directory.forget("alice")
    assert await directory.resolve("alice", None) == default


async def test_unknown_fields_survive_every_rewrite(store: YieldingStore, clock: SetClock) -> None:
    await store.put(
        "dev/users/alice/profiles.json",
        b'{"v":7,"default":"aaaaaaaa","profiles":{"aaaaaaaa":{"name":null,"team":["U12"]},"bbbbbbbb":{"name":"B","x":1}}}',
    )
    await store.put("dev/users/alice/selected-profile.json", b'{"profileId":"aaaaaaaa","since":"2026"}')
    directory = directory_over(store, clock)
    await directory.change("alice", lambda profiles: profiles.rename("aaaaaaaa", "Anna"))
    await directory.select("alice", "bbbbbbbb")
    assert await documents(store, "alice") == (
        {
            "v": 7,
            "default": "aaaaaaaa",
            "profiles": {"aaaaaaaa": {"name": "Anna", "team": ["U12"]}, "bbbbbbbb": {"name": "B", "x": 1}},
        },
        {"profileId": "bbbbbbbb", "since": "2026"},
    )


async def test_changes_of_many_gateways_at_once_all_arrive(store: YieldingStore, clock: SetClock) -> None:
    directories = [directory_over(store, clock) for _ in range(5)]
    await directories[0].read("alice")

    async def add(number: int) -> None:
        await directories[number].change("alice", lambda known: known.add(f"0000000{number}", None, profiles_max=99))

    await asyncio.gather(*(add(number) for number in range(5)))
    profiles, _ = await directories[0].read("alice")
    assert len(profiles.by_id) == 6


async def test_a_change_whose_answer_is_lost_is_made_once(store: YieldingStore, clock: SetClock) -> None:
    directory = directory_over(store, clock)
    await directory.read("alice")
    store.lose_answers = 1
    profiles, _ = await directory.change("alice", lambda known: known.add("cafe0123", "x", profiles_max=9))
    assert list(profiles.by_id)[1:] == ["cafe0123"]


async def test_default_never_changes_and_cannot_be_removed(store: YieldingStore, clock: SetClock) -> None:
    directory = directory_over(store, clock)
    default = (await directory.resolve("alice", None)).profile
    await directory.change("alice", lambda profiles: profiles.add("cafe0123", None, profiles_max=9))
    await directory.select("alice", "cafe0123")
    with pytest.raises(DefaultProfile):
        await directory.change("alice", lambda profiles: profiles.remove(default))
    assert (await directory.read("alice"))[0].default == default


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"default":"a"}',
        b'{"default":"b","profiles":{"a":{}}}',
        b'{"default":"a","profiles":{"a":null}}',
        b'{"default":"a","profiles":{"a":{"name":3}}}',
        b'{"default":"../x","profiles":{"../x":{"name":null}}}',
    ],
)
async def test_damaged_document_is_an_error_of_that_user_alone(
    store: YieldingStore, clock: SetClock, body: bytes
) -> None:
    await store.put("dev/users/alice/profiles.json", body)
    directory = directory_over(store, clock)
    with pytest.raises(CorruptObject, match=r"dev/users/alice/profiles\.json"):
        await directory.resolve("alice", None)
    assert (await directory.resolve("bob", None)).user == "bob"


@pytest.mark.parametrize(("user", "profile"), [("../x", None), ("me", None), ("alice", ".."), ("", None)])
async def test_invalid_ids_never_reach_the_store(
    store: YieldingStore, clock: SetClock, user: str, profile: str | None
) -> None:
    with pytest.raises(InvalidRequest):
        await directory_over(store, clock).resolve(user, profile)
    assert store.gets == 0


async def test_precondition_of_the_store_is_what_the_races_rest_on(store: YieldingStore) -> None:
    """If the fake store ignored conditions, the tests above could not fail."""
    await store.put("dev/x", b"1", if_none_match="*")
    with pytest.raises(PreconditionFailed):
        await store.put("dev/x", b"2", if_none_match="*")
