"""The migration's state machine as a table: every file state against every state of the log (rules 15 to 19)."""

from __future__ import annotations

import pytest

from migrate.decision import ENDS, Goal, Step, decide, needs_log
from migrate.rules import MigrationRules
from storage.log.record import Kind, LogState, Record
from storage.r2_sqlite.file_state import FileState, Mode

A, R = Goal.ACTOR, Goal.R2


def a_record(kind: Kind, gen: int, epoch: int) -> Record:
    return Record(kind, epoch, f"{epoch:032x}", "put", "m1", 10.0, gen)


def a_log(text: str) -> LogState:
    """`I1 T R X2` is IMPORT 1, TAKE, RELEASE, CLOSE 2."""
    kinds = {
        "I": Kind.IMPORT,
        "X": Kind.CLOSE,
        "T": Kind.TAKE,
        "R": Kind.RELEASE,
        "H": Kind.HANDOVER,
        "C": Kind.CLAIM,
        "S": Kind.SEGMENT,
    }
    state, epoch, gen = LogState(), 0, 0
    for word in text.split():
        gen = int(word[1:] or gen)
        epoch += word[0] in "IXTC"
        state = state.advance(a_record(kinds[word[0]], gen, epoch))
    return state


def a_file(text: str | None) -> FileState | None:
    """`sealing 3`."""
    if text is None:
        return None
    state, gen = text.split()
    return FileState(Mode(state), int(gen))


TABLE = [
    # rule 15 to 17: forwards
    (A, None, "", Step.NOTHING),
    (A, "open 0", "", Step.SEAL),
    (A, "open 2", "I1 T R X2", Step.SEAL),
    (A, "sealing 1", "", Step.IMPORT),
    (A, "sealing 1", "I1", Step.CUT_OVER),
    (A, "sealing 3", "I1", Step.IMPORT),
    (A, "sealing 3", "I1 T R X2", Step.IMPORT),
    (A, "sealing 3", "I1 T R X2 I3", Step.CUT_OVER),
    (A, "sealing 1", "I3", Step.LOOK_AGAIN),
    (A, "sealing 3", "I1 T R X4", Step.LOOK_AGAIN),
    (A, "sealing 1", "I1 T R X2", Step.LOOK_AGAIN),
    (A, "actor 1", "I1 T", Step.DONE),
    (A, "returning 2", "I1 T", Step.RETURNING),
    # rule 15, backwards, and rule 18
    (R, None, "", Step.NOTHING),
    (R, "open 0", "", Step.DONE),
    (R, "sealing 1", "", Step.ABORT),
    (R, "sealing 1", "I1", Step.ABORT),
    (R, "actor 1", "I1", Step.RETURN),
    (R, "actor 1", "I1 T S", Step.RETURN),
    (R, "actor 1", "I1 T R X1", Step.DELETED),
    (R, "actor 1", "", Step.RETURN),
    (R, "actor 2", "", Step.DELETED),
    (R, "actor 4", "I1 T R X2", Step.DELETED),
    (R, "actor 1", "I1 T R X2 I3", Step.LOOK_AGAIN),
    (R, "returning 2", "I1", Step.CLOSE),
    (R, "returning 2", "I1 T", Step.DRAIN),
    (R, "returning 2", "I1 T S", Step.DRAIN),
    (R, "returning 2", "I1 T R", Step.CLOSE),
    (R, "returning 2", "I1 T H", Step.CLOSE),
    (R, "returning 2", "I1 T C", Step.DRAIN),
    (R, "returning 2", "I1 T R C", Step.CLOSE),
    (R, "returning 2", "I1 T R T", Step.DRAIN),
    (R, "returning 2", "I1 T R X2", Step.REOPEN),
    (R, "returning 2", "I1 T R X1", Step.DELETED),
    (R, "returning 2", "I1 T R X2 I3", Step.LOOK_AGAIN),
    (R, "returning 2", "", Step.CLOSE),
]


@pytest.mark.parametrize(("goal", "file", "log", "step"), TABLE)
def test_rules_15_to_19_the_next_step_follows_from_file_and_log(
    goal: Goal, file: str | None, log: str, step: Step
) -> None:
    state = a_log(log)
    assert decide(goal, a_file(file), state, snapshot_slot=state.last_slot) is step


def test_rule_16_an_import_without_its_snapshot_gets_one_before_it_is_verified() -> None:
    assert decide(A, a_file("sealing 1"), a_log("I1"), snapshot_slot=0) is Step.SNAPSHOT
    assert decide(A, a_file("sealing 3"), a_log("I1 T R X2 I3"), snapshot_slot=3) is Step.SNAPSHOT


def test_rule_18_force_closes_over_an_owner_that_does_not_end() -> None:
    assert decide(R, a_file("returning 2"), a_log("I1 T"), force=True) is Step.CLOSE


@pytest.mark.parametrize("goal", list(Goal))
@pytest.mark.parametrize("mode", list(Mode))
def test_the_log_is_read_only_where_it_decides(goal: Goal, mode: Mode) -> None:
    """Where it is not read, no log whatever changes the step."""
    file = FileState(mode, 2)
    found = {decide(goal, file, a_log(log)) for log in ("", "I1", "I1 T", "I1 T R", "I1 T R X2", "I2", "X9")}
    assert needs_log(goal, file) or len(found) == 1


def test_every_end_is_an_end_and_nothing_else_is() -> None:
    assert {step for _, _, _, step in TABLE if step in ENDS} == ENDS


@pytest.mark.parametrize(
    ("rules", "goal", "file", "log", "step"),
    [
        (MigrationRules(imports_into_next_slot=False), A, "sealing 3", "I1", Step.CUT_OVER),
        (MigrationRules(gives_way=False), A, "sealing 1", "I3", Step.IMPORT),
        (MigrationRules(waits_for_release=False), R, "returning 2", "I1 T", Step.CLOSE),
        (MigrationRules(exports_after_close=False), R, "returning 2", "I1 T", Step.REOPEN),
    ],
)
def test_a_rule_that_is_off_decides_otherwise(
    rules: MigrationRules, goal: Goal, file: str, log: str, step: Step
) -> None:
    state = a_log(log)
    assert decide(goal, a_file(file), state, snapshot_slot=state.last_slot, rules=rules) is step
    assert decide(goal, a_file(file), state, snapshot_slot=state.last_slot) is not step
