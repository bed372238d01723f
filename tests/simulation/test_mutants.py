"""Every hole of docs/protocol.md, as a mutant of the real code, is found within the seeds 1 to 500 of its profile; the
correct code is clean where each is sought. Finding 16 is no hole, finding 17 is the stated loss.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import pytest

from actors.call import Durability
from actors.database.image import CommitPages
from actors.durability.commit import Commit, merge_commits
from actors.durability.gate import OutputGate
from actors.durability.rules import Rules
from tests.simulation.disk import SimFile
from tests.simulation.invariants import lost_to, takeovers
from tests.simulation.mutants import IMPATIENT, LOCAL, MUTANTS, Mutant, a_profile
from tests.simulation.scenario import PROFILES, Profile, draw_scenario
from tests.simulation.software import simulate
from tests.simulation.world import Run

pytestmark = pytest.mark.slow

SEEDS_MAX = 500
CLEAN_SEEDS = 10
CLEAN_SEEDS_OF_DAYS = 3

STATED_LOSS = a_profile({"pause_long": 2.0, "cut_long": 1.0, "suspend_long": 1.0, "move": 3.0}, levels=LOCAL, rough=0.0)
LATE_ANSWERS = a_profile(
    {"move": 2.0, "pause": 1.0, "kill": 0.5}, answer_s=(0.0, 25.0), write_share=0.3, think_s=0.2, clients=(3, 5)
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Orphans and failed disks are daily business here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def run_seed(seed: int, profile: Profile, rules: Rules) -> Run:
    return simulate(draw_scenario(seed, profiles={"targeted": profile}), rules)


def name_of(mutant: Mutant) -> str:
    return f"finding {mutant.finding}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_the_simulator_finds(mutant: Mutant) -> None:
    found = (seed for seed in range(1, SEEDS_MAX + 1) if run_seed(seed, mutant.profile, mutant.rules).violations)
    assert next(found, None) is not None, f"no seed from 1 to {SEEDS_MAX} finds {name_of(mutant)}"


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.rules != Rules()], ids=name_of)
def test_the_correct_code_is_clean_where_the_simulator_finds(mutant: Mutant) -> None:
    seeds = CLEAN_SEEDS if mutant.profile.pace == 1.0 else CLEAN_SEEDS_OF_DAYS
    for seed in range(1, seeds + 1):
        run = run_seed(seed, mutant.profile, Rules())
        assert not run.violations, f"seed {seed}, profile of {name_of(mutant)}: {run.violations[0]}"


def first_violation(profile: Profile) -> str | None:
    runs = (run_seed(seed, profile, Rules()) for seed in range(1, 21))
    return next((run.violations[0] for run in runs if run.violations), None)


def test_a_gate_that_holds_nothing_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OutputGate, "_is_durable", lambda self, waiter: True)
    found = first_violation(PROFILES["crashes"])
    assert found is not None and found.startswith(("TOO EARLY", "LOST"))


def test_a_journal_that_is_written_and_not_synced_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimFile, "sync", lambda self: None)
    found = first_violation(PROFILES["crashes"])
    assert found is not None and found.startswith(("TOO EARLY", "LOST"))


def test_an_image_that_differs_from_the_log_in_one_byte_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def flip(commits: Iterable[Commit]) -> CommitPages:
        merged = merge_commits(commits)
        number, page = merged.pages[-1]
        return CommitPages(merged.page_count, (*merged.pages[:-1], (number, page[:-1] + bytes([page[-1] ^ 1]))))

    monkeypatch.setattr("actors.durability.flusher.merge_commits", flip)
    assert first_violation(PROFILES["one_machine"]) is not None


def test_finding_16_an_answer_that_travels_long_after_its_check_is_no_hole() -> None:
    late = 0
    for seed in range(1, 31):
        run = run_seed(seed, LATE_ANSWERS, Rules())
        assert not run.violations, f"seed {seed}: {run.violations[0]}"
        late += sum(
            any(landed.record.epoch > reply.epoch and reply.replied_at < landed.at < arrived for landed in opened)
            for opened in [run.history.landed]
            for reply in run.history.replies
            if (arrived := reply.answered_at) is not None
        )
    assert late > 10, "hardly any answer met a later owner on its way"


def test_finding_17_an_owner_that_is_away_for_the_whole_wait_loses_what_is_stated_and_it_is_kept() -> None:
    lost = 0
    for seed in range(1, 41):
        run = run_seed(seed, STATED_LOSS, Rules())
        assert not run.violations, f"seed {seed}: {run.violations[0]}"
        for address, final in run.history.final.items():
            for takeover in takeovers(run.history, address):
                writes = lost_to(run.history, takeover)
                assert all(write.level is Durability.LOCAL for write in writes)
                assert not writes or takeover.predecessor.claim_id in final.orphans
                lost += len(writes)
    assert lost > 10, "the stated loss did not occur: the test proves nothing"


def test_one_lost_request_never_costs_a_write() -> None:
    for seed in range(1, 31):
        run = run_seed(seed, IMPATIENT, Rules())
        assert not run.violations, f"seed {seed}: {run.violations[0]}"


def test_rule_7d_alone_bounds_the_loss_when_looks_do_not_wait_for_writes() -> None:
    profile = next(mutant.profile for mutant in MUTANTS if mutant.finding == "33")
    for seed in range(1, 31):
        run = run_seed(seed, profile, Rules(looks_wait_for_puts=False))
        assert not run.violations, f"seed {seed}: {run.violations[0]}"
