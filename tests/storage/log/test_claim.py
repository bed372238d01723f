"""Who may own an actor, as values: rules 3 to 6, 7e and 20."""

from __future__ import annotations

import pytest

from storage.log.claim import (
    AfterConflict,
    ClaimAndWait,
    FencedStep,
    JournalFate,
    JournalView,
    OpenStep,
    Take,
    decide_after_claim_conflict,
    decide_claim,
    decide_fenced,
    decide_journal,
    decide_on_next_slot,
    refuse_claim,
    wait_seconds,
)
from storage.log.record import CUTS_MAX, Kind, LogState, Record
from tests.actors.kit import a_record, a_state, an_open_epoch

OPEN_2 = a_state(a_record(Kind.TAKE, 2, base=1), a_record(commits=(2, 5)))
RELEASED_2 = OPEN_2.advance(a_record(Kind.RELEASE))


def a_journal(claim: int = 2, first: int = 4, last: int = 8, *, epoch: int | None = None) -> JournalView:
    return JournalView(f"{claim:032x}", claim if epoch is None else epoch, first, last)


# ---- rule 3: who may not


@pytest.mark.parametrize(
    ("records", "file_state", "file_gen", "code"),
    [
        ([], "sealing", 1, "file_state"),
        ([], "returning", 1, "file_state"),
        ([], "actor", 2, "generation"),
        ([a_record(Kind.CLOSE, 3)], "actor", 1, "no_import"),
        ([a_record(Kind.CLOSE, 3), a_record(Kind.IMPORT, 4, gen=3, commits=(6, 6))], "actor", 1, "generation"),
    ],
)
def test_rule_3_a_claim_is_refused(records: list[Record], file_state: str, file_gen: int, code: str) -> None:
    refusal = refuse_claim(OPEN_2.advance_all(records), file_state=file_state, file_gen=file_gen)
    assert refusal is not None and refusal.code == code


def test_rule_3_a_log_without_an_import_is_refused() -> None:
    refusal = refuse_claim(LogState(), file_state="actor", file_gen=1)
    assert refusal is not None and refusal.code == "no_import" and "missing" in refusal.reason


def test_rule_3_a_file_in_actor_state_with_the_imports_own_generation_may_be_claimed() -> None:
    assert refuse_claim(OPEN_2, file_state="actor", file_gen=1) is None


def test_rule_3_the_epoch_is_one_above_every_epoch_of_the_log_even_of_claims_that_never_opened() -> None:
    state = OPEN_2.advance(a_record(Kind.CLAIM, 9, machine_id="m3"))
    assert decide_claim(state, machine_id="m2", journal=None).epoch == 10


# ---- rule 4: TAKE or CLAIM


def test_rule_4_a_log_that_nobody_opened_is_taken() -> None:
    assert decide_claim(a_state(), machine_id="m2", journal=None) == Take(2, carry_journal=False)


@pytest.mark.parametrize("kind", [Kind.RELEASE, Kind.HANDOVER])
def test_rule_4_a_closed_epoch_is_taken_by_any_machine(kind: Kind) -> None:
    state = OPEN_2.advance(a_record(kind, commits=(6, 6) if kind is Kind.HANDOVER else None))
    assert decide_claim(state, machine_id="m2", journal=None) == Take(3, carry_journal=False)


def test_rule_4_an_open_epoch_of_this_machine_is_taken_without_waiting() -> None:
    assert decide_claim(OPEN_2, machine_id="m1", journal=None) == Take(3, carry_journal=False)


def test_rule_4_a_take_carries_the_open_epochs_own_journal() -> None:
    assert decide_claim(OPEN_2, machine_id="m1", journal=a_journal()) == Take(3, carry_journal=True)


def test_rule_4_a_journal_of_another_claim_is_not_carried() -> None:
    assert decide_claim(OPEN_2, machine_id="m1", journal=a_journal(9)) == Take(3, carry_journal=False)


def test_rule_4_a_journal_of_the_same_epoch_number_and_another_claim_is_not_carried() -> None:
    journal = a_journal(9, epoch=2)
    assert decide_claim(OPEN_2, machine_id="m1", journal=journal) == Take(3, carry_journal=False)


def test_rule_4_a_journal_of_a_closed_epoch_is_not_carried() -> None:
    assert decide_claim(RELEASED_2, machine_id="m1", journal=a_journal()) == Take(3, carry_journal=False)


def test_rule_4_another_machines_open_epoch_is_claimed_and_waited_for() -> None:
    decision = decide_claim(OPEN_2, machine_id="m2", journal=None)
    assert isinstance(decision, ClaimAndWait)
    assert (decision.epoch, decision.predecessor) == (3, OPEN_2.open)


@pytest.mark.parametrize("last", [Kind.CLAIM, Kind.RELEASE])
def test_rule_4_a_claim_that_never_opened_is_nobody_and_shortens_no_wait(last: Kind) -> None:
    state = OPEN_2.advance(a_record(Kind.CLAIM, 3, machine_id="m3"))
    if last is Kind.RELEASE:
        state = state.advance(a_record(Kind.RELEASE, 3, machine_id="m3"))
    decision = decide_claim(state, machine_id="m2", journal=None)
    assert isinstance(decision, ClaimAndWait) and decision.predecessor.epoch == 2


def test_rule_20_on_a_single_machine_the_lock_is_the_ownership_and_nobody_waits() -> None:
    assert decide_claim(OPEN_2, machine_id="m2", journal=None, single_machine=True) == Take(3, carry_journal=False)


# ---- rule 4: the slot was somebody else's


@pytest.mark.parametrize("kind", [Kind.CLAIM, Kind.TAKE, Kind.OPEN])
@pytest.mark.parametrize("epoch", [3, 4])
def test_rule_4_a_claimant_gives_way_to_a_foreign_claim_of_its_own_epoch_or_a_higher_one(
    kind: Kind, epoch: int
) -> None:
    fate = decide_after_claim_conflict(a_record(kind, epoch), own_epoch=3, state=OPEN_2, journal=None)
    assert fate is AfterConflict.GIVE_WAY


@pytest.mark.parametrize("kind", [Kind.SEGMENT, Kind.HANDOVER, Kind.RELEASE, Kind.CLOSE])
def test_rule_4_after_any_other_record_a_claimant_lists_again(kind: Kind) -> None:
    found = a_record(kind, 2, commits=(6, 6))
    fate = decide_after_claim_conflict(found, own_epoch=3, state=OPEN_2, journal=None)
    assert fate is AfterConflict.AGAIN


def test_rule_4_an_older_claim_is_no_reason_to_give_way() -> None:
    fate = decide_after_claim_conflict(a_record(Kind.CLAIM, 2), own_epoch=3, state=OPEN_2, journal=None)
    assert fate is AfterConflict.AGAIN


def test_rule_4_the_holder_of_the_open_epochs_journal_never_gives_way() -> None:
    fate = decide_after_claim_conflict(a_record(Kind.CLAIM, 7), own_epoch=3, state=OPEN_2, journal=a_journal())
    assert fate is AfterConflict.AGAIN


# ---- rule 5


@pytest.mark.parametrize(
    ("ttl_s", "takeover_after_s", "expected"), [(10.0, 0.0, 15.1), (100.0, 0.0, 106.0), (10.0, 60.0, 60.0)]
)
def test_rule_5_the_wait_is_the_predecessors_ttl_and_grace_or_the_dial(
    ttl_s: float, takeover_after_s: float, expected: float
) -> None:
    waited = wait_seconds(an_open_epoch(ttl_s=ttl_s), grace_s=5.0, takeover_after_s=takeover_after_s)
    assert waited == pytest.approx(expected)


@pytest.mark.parametrize("kind", [Kind.RELEASE, Kind.HANDOVER])
def test_rule_5_a_release_or_handover_of_the_predecessor_ends_the_wait(kind: Kind) -> None:
    assert decide_on_next_slot(an_open_epoch(2), a_record(kind, 2)) is OpenStep.APPLY_AND_OPEN


@pytest.mark.parametrize(
    ("kind", "epoch"), [(Kind.RELEASE, 1), (Kind.HANDOVER, 3), (Kind.CLAIM, 4), (Kind.TAKE, 4), (Kind.SEGMENT, 2)]
)
def test_rule_5_any_other_record_ends_the_claim(kind: Kind, epoch: int) -> None:
    assert decide_on_next_slot(an_open_epoch(2), a_record(kind, epoch)) is OpenStep.END


# ---- rule 6


def test_rule_6_without_a_journal_there_is_nothing_to_do() -> None:
    assert decide_journal(OPEN_2, None) is JournalFate.EMPTY


def test_rule_6_the_open_epochs_journal_is_handed_over() -> None:
    assert decide_journal(OPEN_2, a_journal(last=6)) is JournalFate.HAND_OVER


def test_rule_6_a_journal_whose_commits_are_all_in_the_log_is_covered() -> None:
    assert decide_journal(OPEN_2, a_journal(last=5)) is JournalFate.COVERED


@pytest.mark.parametrize(("base", "fate"), [(5, JournalFate.ORPHAN), (8, JournalFate.COVERED)])
def test_rule_6_once_another_epoch_stands_a_journal_is_covered_or_orphaned(base: int, fate: JournalFate) -> None:
    """Commits that the successor makes carry numbers above its base; they are not the journal's."""
    after = OPEN_2.advance(a_record(Kind.HANDOVER, 2, commits=(6, base))) if base > 5 else OPEN_2
    state = after.advance_all([a_record(Kind.OPEN, 3, base=base), a_record(epoch=3, commits=(base + 1, 50))])
    assert decide_journal(state, a_journal(last=8)) is fate


def test_rule_6_a_close_over_an_open_epoch_orphans_its_journal_whatever_the_next_life_commits() -> None:
    state = OPEN_2.advance_all(
        [a_record(Kind.CLOSE, 3), a_record(Kind.IMPORT, 4, gen=3, commits=(6, 6)), a_record(Kind.TAKE, 5, base=6)]
    )
    state = state.advance(a_record(epoch=5, commits=(7, 90)))
    assert decide_journal(state, a_journal(last=8)) is JournalFate.ORPHAN


def test_rule_6_a_journal_older_than_every_takeover_still_known_is_kept() -> None:
    """The state remembers the last takeovers only; what it forgot must not make a journal look covered."""
    state = OPEN_2.advance_all([a_record(Kind.OPEN, 3, machine_id="m2", base=5)])
    for epoch in range(4, 4 + CUTS_MAX + 1):
        state = state.advance(a_record(epoch=epoch - 1, commits=(epoch * 10, epoch * 10)))
        state = state.advance(a_record(Kind.TAKE, epoch, machine_id="m2", base=epoch * 10))
    assert decide_journal(state, a_journal(last=8)) is JournalFate.ORPHAN


# ---- rule 7e


def test_rule_7e_an_owner_hands_over_behind_claims_that_have_not_opened() -> None:
    assert decide_fenced([a_record(Kind.CLAIM, 3), a_record(Kind.CLAIM, 4)]) is FencedStep.HAND_OVER


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.CLAIM])
def test_rule_7e_behind_anything_else_it_ends(kind: Kind) -> None:
    assert decide_fenced([a_record(Kind.CLAIM, 3), a_record(kind, 3)]) is FencedStep.END


def test_rule_7e_an_owner_that_finds_nothing_writes_nothing() -> None:
    assert decide_fenced([]) is FencedStep.END
