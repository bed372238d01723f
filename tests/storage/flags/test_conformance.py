"""What every store of flags promises."""

from __future__ import annotations

import pytest

from storage.flags.flag import Flag, ServedMode
from storage.layout.address import InvalidId
from tests.storage.flags.stores import Case

ACTOR = Flag(ServedMode.ACTOR, {"p2": ServedMode.R2}, 1.5, "ops")


async def test_a_user_without_a_flag_has_none(case: Case) -> None:
    assert await case.flags.get("alice") is None


async def test_a_flag_comes_back_as_it_was_put(case: Case) -> None:
    await case.flags.put("alice", ACTOR)
    case.settle()
    assert await case.flags.get("alice") == ACTOR
    assert await case.flags.get("alic") is None


async def test_the_last_write_wins(case: Case) -> None:
    for mode in (ServedMode.ACTOR, ServedMode.SPLIT, ServedMode.R2):
        await case.flags.put("alice", Flag(mode))
    case.settle()
    found = await case.flags.get("alice")
    assert found is not None and found.mode is ServedMode.R2


async def test_a_deleted_flag_is_gone_and_deleting_again_is_no_error(case: Case) -> None:
    await case.flags.put("alice", ACTOR)
    for _ in range(2):
        await case.flags.delete("alice")
    case.settle()
    assert await case.flags.get("alice") is None


async def test_users_are_listed_in_order_and_nothing_else_is(case: Case) -> None:
    users = ["bob", "alice@example.com", "Carol", "a.b-c_d"]
    for user in users:
        await case.flags.put(user, ACTOR)
    await case.flags.delete("bob")
    case.settle()
    assert [user async for user in case.flags.users()] == ["Carol", "a.b-c_d", "alice@example.com"]


@pytest.mark.parametrize("user", ["", "a/b", "../x", "users", "a" * 129])
async def test_what_is_no_user_id_reaches_no_key(case: Case, user: str) -> None:
    for call in (case.flags.get(user), case.flags.put(user, ACTOR), case.flags.delete(user)):
        with pytest.raises(InvalidId):
            await call
