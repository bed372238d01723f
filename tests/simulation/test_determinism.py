"""The same seed gives the same run, step for step: in this process, and in one that hashes text differently."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.scenario import PROFILES, draw_scenario
from tests.simulation.software import simulate

ROOT = Path(__file__).resolve().parents[2]
SEEDS = (3, 14, 15)
PRINT = "from tests.simulation.test_determinism import digests; print(digests())"


def digests() -> list[tuple[int, int]]:
    """What a few seeds of the real code did."""
    runs = [simulate(draw_scenario(seed)) for seed in SEEDS]
    return [(run.digest, run.steps) for run in runs]


@pytest.mark.parametrize("name", PROFILES)
def test_a_seed_gives_the_same_run_twice(name: str) -> None:
    first, second = (simulate(draw_scenario(9, name=name), tell=True) for _ in range(2))
    assert first.notes == second.notes
    assert (first.digest, first.steps) == (second.digest, second.steps)


def test_different_seeds_give_different_runs() -> None:
    assert len(set(digests())) == len(SEEDS)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_repeats_a_run(hash_seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PRINT], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == str(digests())
