"""Deleting profiles and users: by tombstone and retention (rule 21), resumable at every step."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from actors.errors import HostUnavailable
from gateway.erasure import Eraser
from storage.errors import Unavailable
from storage.layout.address import Address
from storage.layout.keys import database_key, log_prefix, profile_prefix
from storage.objects.memory import MemoryStore
from tests.gateway.kit import ENV, Bench, SetClock, assert_problem, bench

DAY_S = 86_400


class FailingStore(MemoryStore):
    """Fails the Nth call from now on, once."""

    fail_in = 0

    def _count(self) -> None:
        if self.fail_in:
            self.fail_in -= 1
            if not self.fail_in:
                raise Unavailable("injected")

    async def put(self, key: str, body: bytes, **options: object):  # type: ignore[no-untyped-def]
        self._count()
        return await super().put(key, body, **options)  # type: ignore[arg-type]

    async def delete(self, key: str) -> None:
        self._count()
        await super().delete(key)

    async def list(self, prefix: str, **options: object):  # type: ignore[no-untyped-def]
        self._count()
        return await super().list(prefix, **options)  # type: ignore[arg-type]


@pytest.fixture
async def gateway() -> AsyncIterator[Bench]:
    async with bench() as made:
        yield made


async def keys(gateway: Bench, prefix: str = "") -> list[str]:
    return [info.key for info in (await gateway.store.list(prefix)).objects]


async def fill(gateway: Bench, address: Address) -> None:
    """A profile with a log, a tombstone and files."""
    prefix = profile_prefix(ENV, address)
    for name in ("raw_clips/a.mp4", "raw_clips/b.mp4", "highlights/x.png"):
        await gateway.store.put(prefix + name, b"file")
    await gateway.store.put(database_key(ENV, address), b"tombstone")
    for slot in (1, 2, 3):
        await gateway.store.put(f"{log_prefix(ENV, address)}0000/{slot:016x}-{slot:016x}.ltx", b"segment")


async def two_profiles(gateway: Bench, user: str = "alice") -> tuple[Address, Address]:
    default = (await gateway.client.get(f"/v1/users/{user}/profiles")).json()["default"]
    other = (await gateway.client.post(f"/v1/users/{user}/profiles", json={"name": "B"})).json()["id"]
    addresses = Address(user, default), Address(user, other)
    for address in addresses:
        await fill(gateway, address)
    return addresses


def eraser(gateway: Bench) -> Eraser:
    found: Eraser = gateway.application.state.services.eraser
    return found


async def test_deleted_profile_is_unreachable_at_once_its_files_gone_its_log_kept(gateway: Bench) -> None:
    default, other = await two_profiles(gateway)
    await gateway.client.put("/v1/users/alice/selected-profile", json={"profileId": other.profile})
    response = await gateway.client.delete(f"/v1/users/alice/profiles/{other.profile}")
    assert response.status_code == 200
    assert response.json() == {
        "user": "alice",
        "deleted": {"raw_clips": 2, "highlights": 1},
        "remains": [
            {"profile": other.profile, "until": "2027-02-14T08:00:00Z", "remains": {"what": "log and tombstone"}}
        ],
        "until": "2027-02-14T08:00:00Z",
    }
    assert gateway.erasure.erased == [other]
    left = await keys(gateway, profile_prefix(ENV, other))
    assert left == [database_key(ENV, other), *(key for key in left if key.startswith(log_prefix(ENV, other)))]
    assert len(left) == 4
    assert (await gateway.client.get("/v1/users/alice/profiles")).json() == {
        "default": default.profile,
        "selected": default.profile,
        "profiles": {default.profile: {"name": None}},
    }
    status = await gateway.client.get(f"/v1/users/alice/profiles/{other.profile}/status")
    assert_problem(status, 404, "profile_not_found")


async def test_default_profile_cannot_be_deleted(gateway: Bench) -> None:
    default, _ = await two_profiles(gateway)
    before = await keys(gateway)
    response = await gateway.client.delete(f"/v1/users/alice/profiles/{default.profile}")
    assert_problem(response, 409, "default_profile")
    assert await keys(gateway) == before


async def test_unknown_profile_cannot_be_deleted(gateway: Bench) -> None:
    await two_profiles(gateway)
    response = await gateway.client.delete("/v1/users/alice/profiles/ffffffff")
    assert_problem(response, 404, "profile_not_found")


async def test_deleting_twice_says_the_same_twice(gateway: Bench) -> None:
    _, other = await two_profiles(gateway)
    path = f"/v1/users/alice/profiles/{other.profile}"
    first = await gateway.client.delete(path)
    gateway.clock.advance(DAY_S)
    second = await gateway.client.delete(path)
    assert second.status_code == 200
    assert second.json()["remains"] == first.json()["remains"]
    assert second.json()["deleted"] == {}
    assert gateway.erasure.erased == [other]


async def test_erased_user_leaves_logs_and_tombstones_only(gateway: Bench) -> None:
    addresses = await two_profiles(gateway)
    await two_profiles(gateway, "bob")
    await gateway.store.put("dev/users/alice/projects/7/old.mp4", b"older layout")
    await gateway.store.put("dev/games/abc.mp4", b"shared")
    stray = Address("alice", "5747a700")
    await fill(gateway, stray)  # a profile that profiles.json does not name
    others = [key for key in await keys(gateway) if "/alice/" not in key]
    response = await gateway.client.delete("/v1/users/alice")
    assert response.status_code == 200
    assert {item["profile"] for item in response.json()["remains"]} == {
        address.profile for address in (*addresses, stray)
    }
    assert response.json()["deleted"] == {"raw_clips": 6, "highlights": 3, "projects": 1}
    assert sorted(gateway.erasure.erased) == sorted((*addresses, stray))
    left = await keys(gateway, "dev/users/alice/")
    assert all("/log/" in key or key.endswith("/database.sqlite") for key in left)
    assert [key for key in await keys(gateway) if "/alice/" not in key] == others


async def test_user_who_comes_back_starts_anew(gateway: Bench) -> None:
    addresses = await two_profiles(gateway)
    await gateway.client.delete("/v1/users/alice")
    back = (await gateway.client.get("/v1/users/alice/profiles")).json()
    assert back["default"] not in {address.profile for address in addresses}
    assert len(back["profiles"]) == 1


async def test_user_never_seen_is_erased_without_being_created(gateway: Bench) -> None:
    response = await gateway.client.delete("/v1/users/nobody")
    assert response.json() == {"user": "nobody", "deleted": {}, "remains": [], "until": None}
    assert await keys(gateway) == []


async def test_selection_left_alone_by_an_earlier_accident_is_erased_too(gateway: Bench) -> None:
    await gateway.store.put("dev/users/alice/selected-profile.json", b'{"profileId":"aaaaaaaa"}')
    await gateway.client.delete("/v1/users/alice")
    assert await keys(gateway) == []


async def test_sweep_removes_what_was_kept_long_enough_and_nothing_earlier(gateway: Bench) -> None:
    default, other = await two_profiles(gateway)
    await gateway.client.delete(f"/v1/users/alice/profiles/{other.profile}")
    gateway.clock.advance(30 * DAY_S - 1)
    before = await keys(gateway)
    assert await eraser(gateway).sweep() == 0
    assert await keys(gateway) == before
    gateway.clock.advance(1)
    assert await eraser(gateway).sweep() == 1
    assert await keys(gateway, profile_prefix(ENV, other)) == []
    assert await keys(gateway, f"{ENV}/erasures/") == []
    assert len(await keys(gateway, profile_prefix(ENV, default))) == 7


async def test_sweep_finishes_a_deletion_whose_actor_could_not_be_reached(gateway: Bench) -> None:
    _, other = await two_profiles(gateway)
    gateway.erasure.failure = HostUnavailable("down")
    response = await gateway.client.delete(f"/v1/users/alice/profiles/{other.profile}")
    assert_problem(response, 503, "host_unavailable", retryable=True)
    status = await gateway.client.get(f"/v1/users/alice/profiles/{other.profile}/status")
    assert_problem(status, 404, "profile_not_found")
    gateway.erasure.failure = None
    assert await eraser(gateway).sweep() == 1
    assert gateway.erasure.erased == [other]
    assert await eraser(gateway).sweep() == 0


async def test_deletion_killed_at_any_step_is_finished_by_the_sweep() -> None:
    """Fail the Nth write, delete or list for N = 1, 2, 3… until the request passes untouched."""
    for failing in range(1, 200):
        clock = SetClock()
        store = FailingStore(clock)
        async with bench(store=store, clock=clock) as gateway:
            addresses = await two_profiles(gateway)
            store.fail_in = failing
            response = await gateway.client.delete("/v1/users/alice")
            untouched = store.fail_in > 0
            store.fail_in = 0
            begun = await keys(gateway, f"{ENV}/erasures/")
            await eraser(gateway).sweep()
            for key in begun:
                profile = key.removesuffix(".json").rpartition("/")[2]
                left = await keys(gateway, profile_prefix(ENV, Address("alice", profile)))
                assert all("/log/" in key or key.endswith("/database.sqlite") for key in left), failing
            again = await gateway.client.delete("/v1/users/alice")
            assert {item["profile"] for item in again.json()["remains"]} >= {item.profile for item in addresses}
            if untouched:
                assert response.status_code == 200
                return
    raise AssertionError("the request never passed untouched")
