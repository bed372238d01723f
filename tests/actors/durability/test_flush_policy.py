"""When a flush is due, and when `local` may no longer be promised (rule 7d)."""

from __future__ import annotations

import pytest

from actors.durability.flush_policy import Unflushed, flush_in_s, local_held
from actors.settings import ActorSettings

SETTINGS = ActorSettings(flush_interval_s=5.0, flush_idle_s=1.0, flush_bytes_max=1000, ttl_s=10.0)


def waiting(byte_size: int = 10, oldest_at: float = 100.0, newest_at: float = 100.0) -> Unflushed:
    return Unflushed(byte_size, oldest_at, newest_at)


def due(unflushed: Unflushed | None, now: float = 100.0, *, requested: bool = False) -> float | None:
    return flush_in_s(unflushed, now=now, requested=requested, settings=SETTINGS)


def test_without_commits_nothing_is_ever_due() -> None:
    assert due(None) is None and due(None, requested=True) is None


def test_a_request_is_due_at_once() -> None:
    assert due(waiting(), requested=True) == 0


@pytest.mark.parametrize(("byte_size", "expected"), [(999, 1.0), (1000, 0.0)])
def test_bytes_are_due_at_once_from_their_bound_on(byte_size: int, expected: float) -> None:
    assert due(waiting(byte_size)) == expected


def test_an_idle_actor_is_due_a_moment_after_its_last_commit() -> None:
    assert due(waiting(newest_at=102.0), now=102.25) == 0.75


def test_a_busy_actor_is_due_an_interval_after_its_oldest_unflushed_commit() -> None:
    assert due(waiting(newest_at=104.9), now=104.9) == pytest.approx(0.1)


def test_what_is_overdue_is_due_at_once() -> None:
    assert due(waiting(), now=500.0) == 0


@pytest.mark.parametrize(("age_s", "held"), [(0.0, False), (15.0, False), (15.01, True), (900.0, True)])
def test_rule_7d_local_is_held_when_the_oldest_unflushed_commit_is_older_than_interval_and_ttl(
    age_s: float, held: bool
) -> None:
    assert local_held(waiting().oldest_at, now=100.0 + age_s, settings=SETTINGS) is held


def test_rule_7d_with_everything_flushed_nothing_is_held() -> None:
    assert not local_held(None, now=1e9, settings=SETTINGS)


def test_rule_20_on_a_single_machine_local_goes_on_however_late_the_flush_is() -> None:
    alone = ActorSettings(ownership="single_machine")
    assert not local_held(waiting().oldest_at, now=1e9, settings=alone)
