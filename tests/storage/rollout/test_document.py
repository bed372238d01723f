"""The rollout's document: what may be in it, and how it changes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import CorruptObject, InvalidRequest, UnsupportedVersion
from storage.layout.address import InvalidId
from storage.rollout.document import USERS_MAX, Rollout, decode_rollout, encode_rollout

ids = st.text("abcdef0123456789", min_size=1, max_size=8)
rollouts = st.builds(
    Rollout,
    percent=st.integers(0, 10_000).map(lambda steps: steps / 100),
    salt=st.text("abc-._1", min_size=1, max_size=64),
    paused=st.booleans(),
    killed=st.booleans(),
    allow=st.frozensets(ids, max_size=5),
    deny=st.frozensets(ids, max_size=5),
    revision=st.integers(0, 2**40),
    at=st.none() | st.floats(0, 1e10),
    by=st.text(max_size=10),
)


@given(rollouts)
def test_a_document_survives_being_written(rollout: Rollout) -> None:
    assert decode_rollout(encode_rollout(rollout), "x") == rollout


@pytest.mark.parametrize("percent", [-0.01, 100.01, 0.001, 33.333, float("nan"), float("inf")])
def test_what_is_no_percentage_is_refused(percent: float) -> None:
    with pytest.raises(InvalidRequest):
        Rollout().with_percent(percent)


@pytest.mark.parametrize("percent", [0, 0.01, 0.07, 0.29, 1.1, 25, 57.31, 99.99, 100])
def test_every_hundredth_is_a_percentage(percent: float) -> None:
    assert Rollout().with_percent(percent).percent == percent


def test_the_last_word_about_a_user_counts() -> None:
    rollout = Rollout().allowing(["a", "b"]).denying(["a"])
    assert (rollout.allow, rollout.deny) == (frozenset("b"), frozenset("a"))
    rollout = rollout.allowing(["a"]).unnaming(["b", "never"])
    assert (rollout.allow, rollout.deny) == (frozenset("a"), frozenset())


def test_wrong_ids_and_too_many_are_refused() -> None:
    for change in (Rollout().allowing, Rollout().denying, Rollout().unnaming):
        with pytest.raises(InvalidId):
            change(["a/b"])
    with pytest.raises(InvalidRequest, match="percentage"):
        Rollout().allowing(f"u{number}" for number in range(USERS_MAX + 1))


@pytest.mark.parametrize(
    "change",
    [{"percent": 101}, {"percent": "5"}, {"salt": ""}, {"salt": "a b"}, {"allow": ["a/b"]}, {"deny": None}],
)
def test_a_damaged_document_is_corrupt_and_says_where(change: dict[str, object]) -> None:
    body = msgspec.json.encode({**msgspec.json.decode(encode_rollout(Rollout())), **change})
    with pytest.raises(CorruptObject, match="dev/flags/rollout"):
        decode_rollout(body, "dev/flags/rollout")


def test_no_json_and_newer_formats_are_told_apart() -> None:
    with pytest.raises(CorruptObject):
        decode_rollout(b"{", "x")
    body = msgspec.json.encode({**msgspec.json.decode(encode_rollout(Rollout())), "format": 2})
    with pytest.raises(UnsupportedVersion):
        decode_rollout(body, "x")
