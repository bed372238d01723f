"""A flag's value: what is written, what is read, and what old code wrote."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import CorruptObject
from storage.flags.flag import FLAG_BYTES_MAX, Flag, ServedMode, decode_flag, encode_flag, flag_key, user_of

ids = st.text("abcdef0123456789", min_size=1, max_size=8)
modes = st.sampled_from(ServedMode)
flags = st.builds(
    Flag, modes, st.dictionaries(ids, modes, max_size=5), st.none() | st.floats(0, 1e10), st.text(max_size=20)
)


@given(flags)
def test_a_flag_survives_being_written(flag: Flag) -> None:
    assert decode_flag(encode_flag(flag), "x") == flag


def test_the_value_is_the_documented_json() -> None:
    flag = Flag(ServedMode.R2, {"p1": ServedMode.ACTOR}, 12.0, "driver")
    assert msgspec.json.decode(encode_flag(flag)) == {
        "mode": "r2",
        "profiles": {"p1": "actor"},
        "at": 12.0,
        "by": "driver",
    }


@pytest.mark.parametrize("value", [b"true", b" true\n"])
def test_a_bare_true_is_the_actor_for_all_profiles(value: bytes) -> None:
    flag = decode_flag(value, "x")
    assert flag.mode_of("any") is ServedMode.ACTOR


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"false",
        b"1",
        b"\xff",
        b'{"mode": "d1"}',
        b'{"profiles": {}}',
        b'{"mode": "r2", "profiles": {"p": "x"}}',
        b" " * (FLAG_BYTES_MAX + 1),
    ],
)
def test_anything_else_is_corrupt_and_says_where(value: bytes) -> None:
    with pytest.raises(CorruptObject, match="migrated:alice"):
        decode_flag(value, "migrated:alice")


def test_fields_of_later_versions_are_ignored() -> None:
    assert decode_flag(b'{"mode": "split", "since": 1}', "x") == Flag(ServedMode.SPLIT)


def test_a_profile_created_later_starts_in_its_users_mode() -> None:
    flag = Flag(ServedMode.ACTOR, {"old": ServedMode.R2})
    assert (flag.mode_of("old"), flag.mode_of("new")) == (ServedMode.R2, ServedMode.ACTOR)


@given(flags, ids, modes)
def test_moving_one_profile_moves_no_other(flag: Flag, profile: str, mode: ServedMode) -> None:
    moved = flag.with_profile(profile, mode, at=1.0, by="x")
    assert moved.mode_of(profile) is mode
    assert moved.mode is flag.mode
    for other in {*flag.profiles, "never seen"} - {profile}:
        assert moved.mode_of(other) is flag.mode_of(other)


def test_keys_name_their_user() -> None:
    assert flag_key("alice") == "migrated:alice"
    assert (user_of("migrated:alice"), user_of("rollout"), user_of("migrated:")) == ("alice", None, None)
