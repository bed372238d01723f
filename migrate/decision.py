"""What to do next with one address, from the state in its file and the state of its log (rules 15 to 19). No I/O.

Every step is one conditional write (or a wait), and after it both are read again. So it does not matter who did the
step before, how many drivers there are, or when one of them was killed: the next one decides from the same values.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from migrate.rules import MigrationRules
from storage.log.record import Kind, LogState
from storage.r2_sqlite.file_state import FileState, Mode

CORRECT = MigrationRules()


class Goal(StrEnum):
    """Where an address is to be served."""

    ACTOR = "actor"
    R2 = "r2"


class Step(StrEnum):
    """See the functions in migrate.mover, one each."""

    SEAL = "seal"
    IMPORT = "import"
    SNAPSHOT = "snapshot"
    CUT_OVER = "verify and cut over"
    ABORT = "abort"
    RETURN = "return"
    DRAIN = "drain"
    CLOSE = "close"
    REOPEN = "export and reopen"
    LOOK_AGAIN = "look again"
    DONE = "done"
    NOTHING = "nothing here"
    RETURNING = "on its way back"
    DELETED = "deleted"


ENDS = frozenset({Step.DONE, Step.NOTHING, Step.RETURNING, Step.DELETED})
# Where the file alone decides. A missing cell means that the log has to be read as well.
BY_FILE: Mapping[Goal, Mapping[Mode, Step]] = {
    Goal.ACTOR: {Mode.OPEN: Step.SEAL, Mode.ACTOR: Step.DONE, Mode.RETURNING: Step.RETURNING},
    Goal.R2: {Mode.OPEN: Step.DONE, Mode.SEALING: Step.ABORT},
}


def needs_log(goal: Goal, file: FileState | None) -> bool:
    """Whether `decide` wants the log's state."""
    return file is not None and file.state not in BY_FILE[goal]


def decide(
    goal: Goal,
    file: FileState | None,
    log: LogState,
    *,
    snapshot_slot: int = 0,
    force: bool = False,
    rules: MigrationRules = CORRECT,
) -> Step:
    """The next step towards `goal`. `snapshot_slot`: the log's newest snapshot. `force`: close over an owner that does
    not end (rule 18)."""
    if file is None:
        return Step.NOTHING
    step = BY_FILE[goal].get(file.state)
    if step is not None:
        return step
    if goal is Goal.ACTOR:
        return _while_sealing(file.gen, log, snapshot_slot, rules)
    if log.life is Kind.CLOSE and log.gen < file.gen and file.state is Mode.RETURNING:
        return Step.DELETED
    if file.state is Mode.ACTOR:
        return _while_served(file.gen, log)
    return _while_returning(file.gen, log, force, rules)


def _while_sealing(gen: int, log: LogState, snapshot_slot: int, rules: MigrationRules) -> Step:
    """Rules 16 and 17. An import of any other generation than the file's is dead weight (finding 24)."""
    imported = log.life is Kind.IMPORT and log.gen == gen
    if not rules.imports_into_next_slot:
        imported = log.last_slot > 0
    if imported:
        return Step.CUT_OVER if snapshot_slot >= log.last_slot else Step.SNAPSHOT
    if log.life is not None and log.gen >= gen and rules.gives_way:
        return Step.LOOK_AGAIN
    return Step.IMPORT


def _while_served(gen: int, log: LogState) -> Step:
    """Only what an actor serves can come back: a file that says `actor` without an import is a deleted one's (rule 21),
    or a new address that nobody has opened yet (rule 22)."""
    if log.gen > gen:
        return Step.LOOK_AGAIN
    imported = log.life is Kind.IMPORT and log.gen == gen
    return Step.RETURN if imported or (log.life is None and gen == 1) else Step.DELETED


def _while_returning(gen: int, log: LogState, force: bool, rules: MigrationRules) -> Step:
    """Rule 18: nothing is exported before CLOSE, nothing is closed before its owner has released (finding 25)."""
    if log.life is Kind.CLOSE and log.gen == gen:
        return Step.REOPEN
    if log.life is not None and log.gen >= gen:
        return Step.LOOK_AGAIN
    if not rules.exports_after_close:
        return Step.REOPEN
    released = log.open is None or log.open.closed
    return Step.CLOSE if released or force or not rules.waits_for_release else Step.DRAIN
