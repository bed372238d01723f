"""What a host has counted since it started: for metrics, not for decisions."""

from __future__ import annotations

from dataclasses import dataclass, field

GATE_WAIT_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class WaitCounts:
    """How long replies were held, as a cumulative histogram. Times in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(GATE_WAIT_BOUNDS_S) + 1))
    total_s: float = 0.0

    def observe(self, seconds: float) -> None:
        """One reply was held for `seconds`."""
        self.total_s += seconds
        for index, bound in enumerate(GATE_WAIT_BOUNDS_S):
            if seconds <= bound:
                self.counts[index] += 1
                return
        self.counts[-1] += 1


@dataclass(slots=True)
class Counters:
    """Counts of one host process. Sizes in bytes."""

    activations: int = 0
    recoveries: int = 0
    takeovers: int = 0
    fences: int = 0
    handovers: int = 0
    orphans: int = 0
    commits: int = 0
    flushes: int = 0
    flushed_bytes: int = 0
    snapshots: int = 0
    collected_slots: int = 0
    journal_failures: int = 0
    gate_wait: WaitCounts = field(default_factory=WaitCounts)
