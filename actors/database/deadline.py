"""The clock over a running statement: SQLite's progress handler.

SQLite calls it every `STEPS` instructions (about a third of a millisecond), so a short statement never pays for it, and
even the first look at the clock is put off until then. Two bounds: the statement's own deadline, which is the client's
error, and the budget of the whole batch, which only says that it belongs into a worker thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable

STEPS = 10_000


class BudgetExceeded(Exception):
    """The batch ran out of its inline budget and was rolled back as a whole: run it again off the event loop."""


class Deadline:
    """`passed`: the statement's deadline ended it. `spent`: the batch's budget did."""

    __slots__ = ("_batch_ends", "_budget_s", "_ends", "_now", "_statement_s", "_stopped", "passed", "spent")

    def __init__(self, statement_s: float, now: Callable[[], float]) -> None:
        self._statement_s = statement_s
        self._now = now
        self._budget_s: float | None = None
        self._batch_ends: float | None = None
        self._ends: float | None = None
        self._stopped = False
        self.passed = False
        self.spent = False

    def begin_alone(self, budget_s: float | None) -> None:
        """One statement starts, and is the whole batch."""
        self._ends = None
        self._batch_ends = None
        self._budget_s = budget_s

    def begin_batch(self, budget_s: float | None) -> None:
        """A batch of several statements starts: its budget runs from now."""
        self._ends = None
        self._budget_s = None
        self._batch_ends = None if budget_s is None else self._now() + budget_s

    def begin_unbounded(self) -> None:
        """The system's own statements start; they end when they are done."""
        self._ends = math.inf
        self._budget_s = None
        self._batch_ends = None

    def begin_statement(self) -> None:
        """The next statement of a batch starts. Raises BudgetExceeded."""
        self._ends = None
        if self._batch_ends is not None and self._now() >= self._batch_ends:
            raise BudgetExceeded

    def stop(self) -> None:
        """Interrupt whatever runs now and whatever starts later; from any thread."""
        self._stopped = True

    def take(self) -> str | None:
        """Why this clock interrupted the last statement, once: `deadline`, `budget` or None."""
        reason = "deadline" if self.passed else "budget" if self.spent else None
        self.passed = self.spent = False
        return reason

    def __call__(self) -> bool:
        """Whether SQLite is to interrupt the statement."""
        if self._stopped:
            return True
        now = self._now()
        if self._ends is None:
            self._ends = now + self._statement_s
            if self._budget_s is not None:
                self._batch_ends = now + self._budget_s
            return False
        if now >= self._ends:
            self.passed = True
        elif self._batch_ends is not None and now >= self._batch_ends:
            self.spent = True
        return self.passed or self.spent
