"""Waits double, stay within their bound, and vary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import InvalidRequest
from storage.objects.backoff import BackoffPolicy


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_wait_is_between_half_and_the_whole_of_its_step(failures: int, chance: float) -> None:
    policy = BackoffPolicy(first_s=0.1, longest_s=5.0)
    step = min(5.0, 0.1 * 2.0 ** min(failures - 1, 32))
    assert step / 2 * (1 - 1e-9) <= policy.wait_s(failures, chance) <= step


def test_the_stores_own_wish_is_followed_within_the_bound() -> None:
    policy = BackoffPolicy(first_s=0.1, longest_s=5.0)
    assert policy.wait_s(1, 0.5, asked_s=2.0) == 2.0
    assert policy.wait_s(1, 0.5, asked_s=3600.0) == 5.0


def test_a_policy_without_sense_is_refused() -> None:
    for first, longest in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(InvalidRequest):
            BackoffPolicy(first, longest)
