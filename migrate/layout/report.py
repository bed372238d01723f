"""What a step did, or would do, to one unit; and the sum over units. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from storage.layout.move_record import NOTHING, Tally

ERRORS_SHOWN_MAX = 5


class Outcome(StrEnum):
    """How a unit ended."""

    PLANNED = "planned"
    DONE = "done"
    NOTHING = "nothing to do"
    FAILED = "failed"
    CONFLICT = "conflict"


@dataclass(slots=True)
class UnitReport:
    """`copied` is what this run copied, `deleted` what it deleted; `before` and `after` are the whole unit, in the old
    and in the new place, and agree when all of it is there. `notes` are for people."""

    unit: str
    outcome: Outcome = Outcome.PLANNED
    copied: Tally = NOTHING
    deleted: Tally = NOTHING
    failed: int = 0
    before: Tally = NOTHING
    after: Tally = NOTHING
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether the counts before and after are the same."""
        return self.before == self.after

    def fail(self, message: str, *, outcome: Outcome = Outcome.FAILED) -> UnitReport:
        """One more failure; the first few messages are kept."""
        self.failed += 1
        self.outcome = outcome
        if len(self.errors) < ERRORS_SHOWN_MAX:
            self.errors.append(message)
        return self

    def to_mapping(self) -> dict[str, object]:
        """For JSON lines."""
        return {
            "unit": self.unit,
            "outcome": self.outcome.value,
            "copied": {"objects": self.copied.objects, "bytes": self.copied.bytes},
            "deleted": {"objects": self.deleted.objects, "bytes": self.deleted.bytes},
            "failed": self.failed,
            "before": {"objects": self.before.objects, "bytes": self.before.bytes},
            "after": {"objects": self.after.objects, "bytes": self.after.bytes},
            "agrees": self.agrees,
            "errors": self.errors,
            "notes": self.notes,
        }


def total(reports: Iterable[UnitReport], unit: str = "total") -> UnitReport:
    """The sum; it failed when any unit did."""
    whole = UnitReport(unit, Outcome.NOTHING)
    order = (Outcome.NOTHING, Outcome.PLANNED, Outcome.DONE, Outcome.FAILED, Outcome.CONFLICT)
    for report in reports:
        whole.copied += report.copied
        whole.deleted += report.deleted
        whole.before += report.before
        whole.after += report.after
        whole.failed += report.failed
        whole.outcome = max(whole.outcome, report.outcome, key=order.index)
    return whole
