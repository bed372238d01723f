"""Five hundred simulated histories of the real code, none of which may break a promise.

A failure names its seed; `python -m tests.simulation.soak --tell SEED` prints that history. Seeds that once exposed a
bug are run by name in `test_corpus.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.simulation.scenario import draw_scenario
from tests.simulation.software import simulate

SEEDS = 500
SEEDS_PER_TEST = 50
QUICK_TESTS = 1


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Orphans and failed disks are daily business here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _marked() -> list[object]:
    firsts = range(1, SEEDS, SEEDS_PER_TEST)
    quick, slow = list(firsts)[:QUICK_TESTS], list(firsts)[QUICK_TESTS:]
    return [*quick, *(pytest.param(first, marks=pytest.mark.slow) for first in slow)]


@pytest.mark.parametrize("first", _marked())
def test_no_seed_breaks_a_promise(first: int) -> None:
    for seed in range(first, first + SEEDS_PER_TEST):
        run = simulate(draw_scenario(seed))
        assert not run.violations, f"seed {seed} ({run.scenario.name}): {run.violations[0]}"
        assert run.history.final, f"seed {seed}: nothing was looked at"
