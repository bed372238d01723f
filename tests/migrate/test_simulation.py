"""No acknowledged write is lost or doubled, in either direction: seeds of the simulated world, and every hole a mutant.

Two gateways believe any flag that was ever set, two drivers are killed at random, writers run throughout.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

import actors.activation
from actors.call import Call
from migrate.decision import Goal
from storage.errors import HoldfastError
from tests.migrate.mutants import ENDING, FINALIZING, MUTANTS, SLEEPY_DRIVERS, SLEEPY_HOST, UNFLUSHED, Mutant
from tests.migrate.world import EVERYTHING, AllRules, Plan, simulate

SEEDS = 24
SEEDS_MAX = 120
KILLS = 50
MANY_KILLS = replace(
    EVERYTHING, accidents={"kill_driver": 1.0}, every_s=0.35, horizon_s=25.0, driver_rest_s=0.2, drivers=2, rough=0.3
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Orphans and refusals are daily business here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_rules_13_to_19_nothing_is_lost_or_doubled_whatever_happens() -> None:
    verdicts = [simulate(seed) for seed in range(1, SEEDS + 1)]
    assert {verdict.seed: verdict.violations for verdict in verdicts if verdict.violations} == {}
    assert sum(verdict.acknowledged for verdict in verdicts) > 10 * SEEDS
    assert sum(verdict.moves for verdict in verdicts) > 2 * SEEDS


def test_two_drivers_are_killed_fifty_times_while_writers_run() -> None:
    verdict = simulate(1, MANY_KILLS)
    assert verdict.violations == []
    assert verdict.kills >= KILLS and verdict.moves > 2 and verdict.acknowledged > 10


@pytest.mark.slow
@pytest.mark.parametrize(
    "plan", [UNFLUSHED, SLEEPY_DRIVERS, SLEEPY_HOST, FINALIZING, ENDING], ids=lambda _: "plan of a mutant"
)
def test_the_rules_are_clean_under_the_troubles_that_find_mutants(plan: Plan) -> None:
    assert {seed: found for seed in range(1, 5) if (found := simulate(seed, plan).violations)} == {}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"finding {mutant.finding}")
def test_every_hole_is_found(mutant: Mutant) -> None:
    assert _first_found(mutant.plan, mutant.rules) is not None


@pytest.mark.slow
def test_finding_26_moved_is_only_said_of_what_did_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def always_refused(call: Call, *, wrote: bool) -> Callable[[HoldfastError], None]:
        return call.fail

    monkeypatch.setattr(actors.activation, "drop_of", always_refused)
    found = _first_found(ENDING, AllRules())
    assert found is not None and "TWICE" in found


def test_a_run_is_the_same_run_every_time() -> None:
    first, second = (simulate(3, tell=True) for _ in range(2))
    assert (first.digest, first.notes) == (second.digest, second.notes)


def test_the_plans_move_both_ways() -> None:
    assert set(EVERYTHING.goals) == set(Goal)


def _first_found(plan: Plan, rules: AllRules) -> str | None:
    """The first violation within the seeds."""
    for seed in range(1, SEEDS_MAX + 1):
        violations = simulate(seed, plan, rules).violations
        if violations:
            return violations[0]
    return None
