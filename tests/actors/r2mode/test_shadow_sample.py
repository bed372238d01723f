"""Which reads are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.database.statement import a_batch
from actors.r2mode.shadow_sample import is_repeatable, is_sampled


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 64), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_keeps_every_read_of_a_smaller_one(number: int, seed: int, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert is_sampled(number, seed=seed, share=large) or not is_sampled(number, seed=seed, share=small)


def test_nothing_and_everything_are_shares() -> None:
    assert not any(is_sampled(number, seed=1, share=0.0) for number in range(1000))
    assert all(is_sampled(number, seed=1, share=1.0) for number in range(1000))


def test_the_share_is_about_kept_and_the_seed_decides_which() -> None:
    chosen = {seed: {n for n in range(10_000) if is_sampled(n, seed=seed, share=0.1)} for seed in (1, 2)}
    assert all(900 < len(numbers) < 1100 for numbers in chosen.values())
    assert len(chosen[1] & chosen[2]) < 200
    assert chosen[1] == {n for n in range(10_000) if is_sampled(n, seed=1, share=0.1)}


@pytest.mark.parametrize(
    "sql",
    ["SELECT random()", "SELECT datetime ('now')", "SELECT CURRENT_TIMESTAMP", "SELECT hex(randomblob(4))"],
)
def test_chance_and_time_are_not_compared(sql: str) -> None:
    assert not is_repeatable(a_batch(sql))


@pytest.mark.parametrize("sql", ["SELECT date, time FROM games", "SELECT max(random_seed) FROM t", "SELECT 1"])
def test_names_that_only_look_like_it_are(sql: str) -> None:
    assert is_repeatable(a_batch(sql))
