"""A bucket out of reach: in `strict` every reply waits once the ttl has passed, with one machine nothing stops."""

from __future__ import annotations

import logging

import pytest

from actors.call import Durability
from tests.simulation.mutants import a_profile
from tests.simulation.scenario import draw_scenario
from tests.simulation.software import simulate
from tests.simulation.world import Run

LEVELS = {Durability.LOCAL: 0.7, Durability.MEMORY: 0.3}
SEEDS = range(1, 9)
CUT_S_MIN = 17.0


def late_replies(run: Run) -> int:
    """Answers that left while the machine had been cut off for longer than its ttl."""
    cuts = [cut for cut in run.history.hindrances if cut.until - cut.since > CUT_S_MIN]
    expired_s = run.history.ttl_s * 1.01
    replies = [reply for reply in run.history.replies if reply.replied_at < run.history.healed_at]
    return sum(cut.since + expired_s < reply.replied_at < cut.until for cut in cuts for reply in replies)


@pytest.mark.parametrize("ownership", ["strict", "single_machine"])
def test_rule_20_only_one_machine_alone_answers_without_its_bucket(ownership: str) -> None:
    profile = a_profile(
        {"cut_long": 1.0}, machines=(1, 1), levels=LEVELS, rough=0.0, every_s=15.0, settings={"ownership": ownership}
    )
    logging.disable(logging.CRITICAL)
    try:
        runs = [simulate(draw_scenario(seed, profiles={"outage": profile})) for seed in SEEDS]
    finally:
        logging.disable(logging.NOTSET)
    assert not [run.violations for run in runs if run.violations]
    answered = sum(late_replies(run) for run in runs)
    assert answered == 0 if ownership == "strict" else answered > 100
