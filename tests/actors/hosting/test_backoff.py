"""Failures are remembered shortly, longer when they repeat, and never for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.hosting import backoff
from actors.hosting.backoff import FailureBackoff
from storage.errors import CorruptSegment
from storage.layout.address import Address

ALICE = Address("alice", "p")


def test_a_failure_is_answered_again_until_its_time_is_over() -> None:
    failures = FailureBackoff(first_s=1, max_s=8)
    failures.record(ALICE, CorruptSegment("slot 7", details={"slot": 7}), now=100.0)
    error = failures.refuse(ALICE, 100.25)
    assert isinstance(error, CorruptSegment) and (error.message, error.details) == ("slot 7", {"slot": 7})
    assert error.retry_after_s == 0.75
    assert failures.refuse(ALICE, 101.0) is None
    assert failures.refuse(Address("bob", "p"), 100.0) is None


def test_repeated_failures_double_up_to_the_bound_and_success_forgets() -> None:
    failures = FailureBackoff(first_s=1, max_s=5)
    now, delays = 0.0, []
    for _ in range(5):
        failures.record(ALICE, CorruptSegment("x"), now)
        error = failures.refuse(ALICE, now)
        assert error is not None and error.retry_after_s is not None
        delays.append(error.retry_after_s)
        now += error.retry_after_s
    assert delays == [1, 2, 4, 5, 5]
    failures.clear(ALICE)
    failures.record(ALICE, CorruptSegment("x"), now)
    assert failures.refuse(ALICE, now + 1) is None


def test_a_failure_of_long_ago_counts_no_more() -> None:
    failures = FailureBackoff(first_s=1, max_s=5)
    failures.record(ALICE, CorruptSegment("x"), 0)
    failures.record(ALICE, CorruptSegment("x"), 1000)
    assert failures.refuse(ALICE, 1001) is None


@given(st.lists(st.integers(0, 30), max_size=60))
def test_memory_is_bounded(users: list[int]) -> None:
    failures = FailureBackoff(first_s=1, max_s=5)
    bound, backoff.FAILURES_MAX = backoff.FAILURES_MAX, 5
    try:
        for user in users:
            failures.record(Address(f"u{user}", "p"), CorruptSegment("x"), 0)
            assert len(failures._failures) <= 5
            assert failures.refuse(Address(f"u{user}", "p"), 0) is not None
    finally:
        backoff.FAILURES_MAX = bound
