"""Records of users: their text, their transitions, the state of a user with several profiles."""

from __future__ import annotations

import msgspec
import pytest

from migrate.decision import Goal
from migrate.user_record import (
    FORMAT_VERSION,
    TRANSITIONS,
    ProfileRecord,
    UserRecord,
    UserState,
    WrongStep,
    decode_record,
    encode_record,
)
from storage.errors import CorruptObject, UnsupportedVersion

S = UserState


def a_user(**profiles: UserState) -> UserRecord:
    return UserRecord("alice", Goal.ACTOR, {name: ProfileRecord(state) for name, state in profiles.items()})


def test_a_record_survives_its_text() -> None:
    profile = ProfileRecord(S.ACTOR, 3, 4096, "etag", pause_s=0.25, sealed_at=1.5, moved_at=2.5)
    record = UserRecord("alice", Goal.ACTOR, {"main": profile, "old": ProfileRecord(S.R2)}, "run", "op", 1.0, 7)
    assert decode_record(encode_record(record), "record") == record
    assert msgspec.json.decode(encode_record(record))["state"] == "r2"


@pytest.mark.parametrize("body", [b"", b"null", b"{", b"\xff", b'{"user": "a"}', b'{"user":"a","goal":"moon"}'])
def test_what_is_no_record_is_corrupt(body: bytes) -> None:
    with pytest.raises(CorruptObject):
        decode_record(body, "record")


def test_a_newer_record_is_refused_by_name() -> None:
    body = encode_record(msgspec.structs.replace(a_user(main=S.ACTOR), format=FORMAT_VERSION + 1))
    with pytest.raises(UnsupportedVersion, match="record: format 2"):
        decode_record(body, "record")


@pytest.mark.parametrize(
    ("profiles", "state", "finished"),
    [
        ({}, S.R2, True),
        ({"a": S.ACTOR, "b": S.ACTOR}, S.ACTOR, True),
        ({"a": S.ACTOR, "b": S.VERIFYING}, S.VERIFYING, False),
        ({"a": S.ACTOR, "b": S.QUARANTINED}, S.QUARANTINED, True),
        ({"a": S.ROLLED_BACK, "b": S.ROLLING_BACK}, S.ROLLING_BACK, False),
        ({"a": S.ROLLED_BACK, "b": S.ROLLED_BACK}, S.ROLLED_BACK, True),
    ],
)
def test_a_users_state_is_that_of_the_profile_farthest_from_its_goal(
    profiles: dict[str, UserState], state: UserState, finished: bool
) -> None:
    record = a_user(**profiles)
    assert (record.state, record.finished) == (state, finished)


def test_every_state_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(UserState)


@pytest.mark.parametrize("state", [S.SEALING, S.IMPORTING, S.VERIFYING, S.QUARANTINED, S.R2])
def test_a_moved_profile_is_sealed_again_only_after_a_rollback(state: UserState) -> None:
    with pytest.raises(WrongStep, match="cannot follow actor"):
        a_user(main=S.ACTOR).with_profile("main", ProfileRecord(state))


@pytest.mark.parametrize(
    "path",
    [
        (S.R2, S.SEALING, S.IMPORTING, S.VERIFYING, S.ACTOR, S.ROLLING_BACK, S.ROLLED_BACK, S.SEALING),
        (S.R2, S.QUARANTINED, S.SEALING, S.QUARANTINED),
        (S.SEALING, S.ROLLING_BACK, S.ROLLED_BACK),
        (S.ACTOR, S.ROLLED_BACK),
    ],
)
def test_the_ways_a_profile_goes(path: tuple[UserState, ...]) -> None:
    record = a_user(main=path[0])
    for state in path[1:]:
        record = record.with_profile("main", ProfileRecord(state))
    assert record.profile("main").state is path[-1]
