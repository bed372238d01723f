"""Who may own an actor: the decisions of rules 3 to 6 as functions of values. Pure.

What is read from the bucket and the disk comes in as values, what is to be written goes out as values; the shells that
carry it out are actors.durability.claimant and actors.durability.agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from storage.log.record import Kind, LogState, OpenEpoch, Record


@dataclass(frozen=True, slots=True)
class JournalView:
    """What a claimant knows of the journal on its disk: whose it is and the numbers of the commits it holds."""

    claim_id: str
    epoch: int
    first_commit: int
    last_commit: int


@dataclass(frozen=True, slots=True)
class Take:
    """Claim and open in one write. `carry_journal`: the journal's commits above the log's last go with it."""

    epoch: int
    carry_journal: bool


@dataclass(frozen=True, slots=True)
class ClaimAndWait:
    """Announce, wait out the predecessor, then open."""

    epoch: int
    predecessor: OpenEpoch


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """The rules a claim follows. Everything else than the defaults is a mutant that only tests can build."""

    waits: bool = True  # finding 1
    carries_journal: bool = True  # finding 3
    holder_never_gives_way: bool = True  # finding 5
    only_opened_counts: bool = True  # finding 8
    matches_by_claim_id: bool = True  # finding 31
    compares_generations: bool = True  # finding 24


def holds_open_journal(state: LogState, journal: JournalView | None, rules: ClaimRules = ClaimRules()) -> bool:
    """Whether the journal on this disk belongs to the open epoch and is not in the log yet (rule 4)."""
    if journal is None or state.open is None or state.open.closed:
        return False
    if not rules.matches_by_claim_id:
        return journal.epoch == state.open.epoch
    return journal.claim_id == state.open.claim_id


def decide_claim(
    state: LogState,
    *,
    machine_id: str,
    journal: JournalView | None,
    single_machine: bool = False,
    rules: ClaimRules = ClaimRules(),
) -> Take | ClaimAndWait:
    """Rule 4, for a caller that holds the address's lock on machine `machine_id`; on a single machine the lock is the
    ownership (rule 20)."""
    epoch = state.epoch_max + 1
    carry = rules.carries_journal and holds_open_journal(state, journal, rules)
    free = state.open is None or state.open.closed or state.open.machine_id == machine_id
    free = free or (state.claimed > 0 and not rules.only_opened_counts)
    if free or single_machine or not rules.waits:
        return Take(epoch, carry)
    assert state.open is not None
    return ClaimAndWait(epoch, state.open)


def wait_seconds(predecessor: OpenEpoch, *, grace_s: float, takeover_after_s: float) -> float:
    """W of rule 5. The predecessor's own ttl counts, not ours: settings may have changed in between (finding 13)."""
    return max(1.01 * predecessor.ttl_s + grace_s, takeover_after_s)


class AfterConflict(Enum):
    """What a claimant does whose slot was taken by somebody else."""

    AGAIN = "list again and decide afresh"
    GIVE_WAY = "a foreign claim is there: stop"


def decide_after_claim_conflict(
    found: Record, *, own_epoch: int, state: LogState, journal: JournalView | None, rules: ClaimRules = ClaimRules()
) -> AfterConflict:
    """Rule 4, last sentence. The holder of the open epoch's journal never gives way (finding 5)."""
    if found.kind in (Kind.CLAIM, Kind.TAKE, Kind.OPEN) and found.epoch >= own_epoch:
        if rules.holder_never_gives_way and holds_open_journal(state, journal, rules):
            return AfterConflict.AGAIN
        return AfterConflict.GIVE_WAY
    return AfterConflict.AGAIN


class OpenStep(Enum):
    """What the next slot tells a waiting claimant (rule 5)."""

    APPLY_AND_OPEN = "the predecessor closed its epoch: apply its pages, open in the next slot"
    END = "somebody else's record: stop, write nothing"


def decide_on_next_slot(predecessor: OpenEpoch, found: Record) -> OpenStep:
    """A RELEASE or HANDOVER of the predecessor ends the wait; anything else ends the claim."""
    if found.kind in (Kind.RELEASE, Kind.HANDOVER) and found.epoch == predecessor.epoch:
        return OpenStep.APPLY_AND_OPEN
    return OpenStep.END


class FencedStep(Enum):
    """What an owner does that found a foreign record in its next slot (rule 7e)."""

    HAND_OVER = "only unopened claims: write the unflushed commits behind them"
    END = "somebody else opened: keep the journal, end"


def decide_fenced(records: Sequence[Record]) -> FencedStep:
    """`records` are all records from the owner's next slot on."""
    if records and all(record.kind is Kind.CLAIM for record in records):
        return FencedStep.HAND_OVER
    return FencedStep.END


class JournalFate(Enum):
    """What becomes of a journal without an owner (rule 6)."""

    EMPTY = "nothing in it"
    HAND_OVER = "its epoch is open: write it into the log"
    COVERED = "everything in it is in the log: delete"
    ORPHAN = "another epoch opened without it: copy to orphans, report, keep"


def decide_journal(state: LogState, journal: JournalView | None, rules: ClaimRules = ClaimRules()) -> JournalFate:
    """Rule 6. A journal whose epoch was cut off is covered up to the base its successor stated."""
    if journal is None:
        return JournalFate.EMPTY
    if holds_open_journal(state, journal, rules):
        return JournalFate.COVERED if journal.last_commit <= state.last_commit else JournalFate.HAND_OVER
    bases = [cut.base for cut in state.cuts if cut.claim_id == journal.claim_id]
    if not bases and journal.epoch < state.forgotten:
        return JournalFate.ORPHAN  # nobody knows any more where its epoch was cut off: keep it
    reached = bases[0] if bases else state.last_commit
    return JournalFate.COVERED if journal.last_commit <= reached else JournalFate.ORPHAN


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nobody may own this address now."""

    code: str
    reason: str


def refuse_claim(
    state: LogState,
    *,
    file_state: str,
    file_gen: int,
    draining: bool = False,
    rules: ClaimRules = ClaimRules(),
) -> Refusal | None:
    """Rule 3, second half: the file must say `actor` with the IMPORT's own generation (finding 24). `draining`: the
    claimant only recovers and releases; then the file must be `returning` from that generation (rule 18)."""
    expected = "returning" if draining else "actor"
    if file_state != expected:
        return Refusal("file_state", f"database.sqlite is in state {file_state!r}, expected {expected!r}")
    if state.life is not Kind.IMPORT:
        return Refusal("no_import", f"the log's last IMPORT or CLOSE is {state.life or 'missing'}, expected an import")
    served = file_gen - 1 if draining else file_gen
    if draining and (state.open is None or state.open.closed):
        return Refusal("nothing_open", "the log's owner has released it, nothing is left to recover")
    if state.gen != served and rules.compares_generations:
        return Refusal("generation", f"the log's import has generation {state.gen}, the file {served}")
    return None
