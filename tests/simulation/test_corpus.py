"""Seeds that once broke a promise do not break it any more."""

from __future__ import annotations

import logging

import pytest

from tests.simulation.corpus import CORPUS, Remembered
from tests.simulation.scenario import draw_scenario
from tests.simulation.software import simulate


@pytest.mark.parametrize("remembered", CORPUS, ids=lambda remembered: f"seed {remembered.seed}")
def test_what_was_mended_stays_mended(remembered: Remembered) -> None:
    logging.disable(logging.CRITICAL)
    try:
        run = simulate(draw_scenario(remembered.seed, profiles={"remembered": remembered.profile}))
    finally:
        logging.disable(logging.NOTSET)
    assert not run.violations, f"{remembered.what}: {run.violations[0]}"
