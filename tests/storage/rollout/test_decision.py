"""Who is eligible, and why: the order of the steps, and the percentage's hash."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.rollout.decision import BUCKETS, Decision, Reason, bucket_of, decide
from storage.rollout.document import Rollout

USERS = [f"user-{number}" for number in range(2000)]
percents = st.integers(0, 10_000).map(lambda steps: steps / 100)

GOLDEN = [7622, 4123, 3078]
EVERYTHING = Rollout(percent=100, killed=True, paused=True, allow=frozenset({"a"}), deny=frozenset({"a"}))


def without(rollout: Rollout, **changes: object) -> Rollout:
    return replace(rollout, **changes)  # type: ignore[arg-type]


def test_the_steps_decide_in_their_order() -> None:
    rollout = EVERYTHING
    steps: list[tuple[Reason, bool, dict[str, object]]] = [
        (Reason.KILLED, False, {"killed": False}),
        (Reason.DENIED, False, {"deny": frozenset()}),
        (Reason.ALLOWED, True, {"allow": frozenset()}),
        (Reason.PAUSED, False, {"paused": False}),
        (Reason.PERCENTAGE, True, {"percent": 0.0}),
        (Reason.DEFAULT, False, {}),
    ]
    for reason, eligible, change in steps:
        assert decide(rollout, "a") == Decision(eligible, reason)
        rollout = without(rollout, **change)


def test_without_a_document_nobody_is_eligible() -> None:
    assert not any(decide(Rollout(), user).eligible for user in USERS)


@given(percents, percents, st.text(min_size=1), st.text("abc", min_size=1, max_size=8))
def test_raising_the_percentage_only_adds_users(one: float, other: float, user: str, salt: str) -> None:
    low, high = sorted((one, other))
    if decide(Rollout(percent=low, salt=salt), user).eligible:
        assert decide(Rollout(percent=high, salt=salt), user).eligible


@pytest.mark.parametrize("percent", [1.0, 5.0, 25.0, 50.0, 99.0])
def test_a_percentage_is_about_that_share_of_the_users(percent: float) -> None:
    share = sum(decide(Rollout(percent=percent), user).eligible for user in USERS) / len(USERS)
    assert abs(share - percent / 100) < 0.03


def test_a_hundred_percent_is_everybody_and_the_smallest_step_is_one_bucket() -> None:
    assert all(decide(Rollout(percent=100), user).eligible for user in USERS)
    first = next(user for user in (f"u{n}" for n in range(200_000)) if bucket_of("holdfast", user) == 0)
    assert decide(Rollout(percent=0.01), first).eligible


@given(st.text(), st.text())
def test_a_bucket_is_one_of_ten_thousand(salt: str, user: str) -> None:
    assert 0 <= bucket_of(salt, user) < BUCKETS


def test_another_salt_chooses_other_users_and_the_same_salt_the_same_for_ever() -> None:
    def chosen(salt: str) -> set[str]:
        return {user for user in USERS if decide(Rollout(percent=10, salt=salt), user).eligible}

    assert len(chosen("a") & chosen("b")) < len(chosen("a")) / 2
    # Golden: a changed hash would silently move other users.
    assert [bucket_of("holdfast", user) for user in ("alice", "bob", "carol")] == GOLDEN
