"""Records in the bucket: changed by compare-and-swap, found by listing, and the switch beside them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from migrate.decision import Goal
from migrate.record_store import RecordStore, record_key, switch_key
from migrate.user_record import ProfileRecord, UserRecord, UserState
from storage.errors import CorruptObject
from storage.layout.address import InvalidId
from tests.actors.virtual_time import virtual
from tests.migrate.kit import ENV, HookedStore, Scene


def with_profile(name: str) -> UserRecord:
    return UserRecord("alice", Goal.ACTOR).with_profile(name, ProfileRecord(UserState.SEALING))


@virtual
async def test_a_change_is_made_on_the_newest_version_whoever_was_faster() -> None:
    scene = Scene()
    records = RecordStore(scene.parts())

    async def other() -> None:
        await records.change("alice", lambda record: with_profile("theirs"))

    slow = RecordStore(scene.parts(HookedStore(scene.store, at=1, only="put", hook=other)))
    seen: list[UserRecord | None] = []

    def change(record: UserRecord | None) -> UserRecord:
        seen.append(record)
        return (record or UserRecord("alice", Goal.ACTOR)).with_profile("ours", ProfileRecord(UserState.SEALING))

    record = await slow.change("alice", change)
    assert set(record.profiles) == {"ours", "theirs"} and len(seen) == 2 and record.revision == 2
    assert await records.read("alice") == record
    await scene.close()


@virtual
async def test_many_writers_lose_nothing() -> None:
    scene = Scene()

    async def add(name: str) -> None:
        def change(record: UserRecord | None) -> UserRecord:
            record = record or UserRecord("alice", Goal.ACTOR)
            return record.with_profile(name, ProfileRecord(UserState.SEALING))

        await RecordStore(scene.parts()).change("alice", change)

    await asyncio.gather(*(add(f"p{number}") for number in range(5)))
    record = await RecordStore(scene.parts()).read("alice")
    assert record is not None and len(record.profiles) == 5
    await scene.close()


@virtual
async def test_a_change_that_changes_nothing_writes_nothing() -> None:
    scene = Scene()
    records = RecordStore(scene.parts())
    await records.change("alice", lambda record: with_profile("main"))
    counted = HookedStore(scene.store, only="put")
    await RecordStore(scene.parts(counted)).change("alice", lambda record: record or with_profile("main"))
    assert counted.calls == 0
    await scene.close()


@virtual
async def test_records_are_stamped_and_listed_and_foreign_names_passed_over() -> None:
    scene = Scene()
    records = RecordStore(scene.parts())
    for user in ("bob", "alice"):
        await records.change(user, lambda record, user=user: UserRecord(user, Goal.R2))  # type: ignore[misc]
    await scene.store.put(f"{ENV}/migrations/users/not a user.json", b"{}")
    assert [user async for user in records.users()] == ["alice", "bob"]
    record = await records.read("bob")
    assert record is not None and record.run.startswith("run-") and record.by == "a test" and record.at > 0
    assert msgspec.json.decode((await scene.store.get(record_key(ENV, "bob"))).body)["state"] == "r2"
    assert await records.read("carol") is None
    with pytest.raises(InvalidId):
        record_key(ENV, "../bob")
    await scene.close()


@virtual
async def test_the_switch_is_off_until_somebody_says_so() -> None:
    scene = Scene()
    records = RecordStore(scene.parts())
    assert not (await records.switch()).paused
    await records.set_switch(paused=True)
    assert (await records.switch()).paused and (await records.switch()).by == "a test"
    await scene.store.put(switch_key(ENV), b"?")
    with pytest.raises(CorruptObject):
        await records.switch()
    await scene.close()
