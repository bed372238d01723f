"""Who is moved: by the rollout, by name, by share; the way back is open to everybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrate.decision import Goal
from migrate.selection import RolloutKilled, Selection, choose, read_users_file, select_users
from storage.errors import InvalidRequest
from storage.layout.address import InvalidId
from storage.rollout.decision import bucket_of
from storage.rollout.document import Rollout
from tests.actors.virtual_time import virtual
from tests.migrate.kit import USER, begun

USERS = tuple(f"user{number}" for number in range(200))
A, R = Goal.ACTOR, Goal.R2


def test_without_a_word_those_whom_the_rollout_makes_eligible() -> None:
    rollout = Rollout().with_percent(25).allowing(["user3"]).denying(["user7"])
    chosen = choose(USERS, Selection(), rollout, A)
    assert "user3" in chosen.users and "user7" not in chosen.users and 20 < len(chosen.users) < 90
    assert chosen.left_out == {"user7": "denied"}


def test_a_larger_share_begins_with_the_same_users() -> None:
    small = choose(USERS, Selection(percent=5), Rollout(), A).users
    large = choose(USERS, Selection(percent=50), Rollout(), A).users
    assert small == large[: len(small)] and small
    assert [bucket_of("holdfast", user) for user in large] == sorted(bucket_of("holdfast", user) for user in large)
    assert choose(USERS, Selection(percent=50, limit=7), Rollout(), A).users == large[:7]


def test_users_named_move_whatever_the_percentage_unless_they_are_denied() -> None:
    chosen = choose(["a", "b"], Selection(("a", "b")), Rollout().denying(["b"]), A)
    assert chosen.users == ("a",) and chosen.left_out == {"b": "denied"}
    assert len(choose(USERS, Selection(everybody=True), Rollout(), A).users) == len(USERS)


@pytest.mark.parametrize("selection", [Selection(), Selection(("a",)), Selection(everybody=True)])
def test_the_kill_switch_stops_everybody_on_the_way_forwards(selection: Selection) -> None:
    killed = Rollout(killed=True)
    with pytest.raises(RolloutKilled):
        choose(["a"], selection, killed, A)
    assert choose(["a"], Selection(("a",)), killed, R).users == ("a",)


def test_the_way_back_is_open_to_denied_users_too() -> None:
    assert choose(["a"], Selection(), Rollout().denying(["a"]), R).users == ("a",)


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_wrong_share_is_refused(percent: float) -> None:
    with pytest.raises(InvalidRequest):
        choose(USERS, Selection(percent=percent), Rollout(), A)


def test_a_users_file_has_a_user_per_line(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("alice\n\n# a comment\nbob@example.org  # later\n")
    assert read_users_file(path) == ("alice", "bob@example.org")
    path.write_text("../alice\n")
    with pytest.raises(InvalidId):
        read_users_file(path)


@virtual
async def test_users_are_found_in_the_bucket_and_by_the_run_that_moved_them() -> None:
    scene = await begun(1)
    parts = scene.parts()
    assert (await select_users(parts, Selection(everybody=True), Rollout(), A)).users == (USER,)
    await scene.migrate()
    assert (await select_users(parts, Selection(run="run-2"), Rollout(), R)).users == (USER,)
    assert (await select_users(parts, Selection(run="run-9"), Rollout(), R)).users == ()
    await scene.close()
