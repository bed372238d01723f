"""What r2 mode measures."""

from __future__ import annotations

import pytest

from storage.r2_sqlite.figures import SAMPLES_MAX, Figures


def test_totals_and_users_add_up() -> None:
    figures = Figures(users_max=10)
    figures.loaded("alice", 100, 0.1)
    figures.saved("alice", 200, 0.2)
    figures.lost_race("alice")
    figures.needed_actor("bob")
    alice = figures.of("alice")
    assert (alice.size_bytes, alice.lost_races, figures.of("bob").needs_actor) == (200, 1, 1)
    assert (figures.loads, figures.saves, figures.lost_races, figures.needs_actor) == (1, 1, 1, 1)


@pytest.mark.parametrize(("count", "expected"), [(0, 0.0), (1, 1.0), (20, 19.0), (100, 95.0)])
def test_p95_is_the_nearest_rank(count: int, expected: float) -> None:
    figures = Figures(users_max=1)
    for number in range(1, count + 1):
        figures.loaded("alice", 1, float(number))
    assert figures.of("alice").load_s_p95 == expected


def test_samples_and_users_are_bounded() -> None:
    figures = Figures(users_max=2)
    for number in range(SAMPLES_MAX + 5):
        figures.saved("alice", 1, float(number))
    assert len(figures.of("alice").saves_s) == SAMPLES_MAX
    for user in ("bob", "carol"):
        figures.loaded(user, 1, 0.1)
    assert [user for user, _ in figures.users()] == ["bob", "carol"]
