"""Rounds and what is made of them: medians, and ratios within a round. Pure.

The machine is shared and noisy. A ratio compares two contenders within one round, seconds apart; the median over the
rounds is what is reported, with the smallest and the largest beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.load.outcome import Outcome

MS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One contender in one scenario in one round. `cpu_s`: its processes' time in the measured span; `sync_ms`: what an
    fdatasync took just before (median)."""

    scenario: str
    contender: str
    round: int
    outcome: Outcome
    cpu_s: float = 0.0
    sync_ms: float = 0.0

    @property
    def cpu_us_per_request(self) -> float:
        """Processor time of all the contender's processes; steadier than seconds on a machine that others use."""
        return self.cpu_s * 1e6 / self.outcome.requests if self.outcome.requests else 0.0

    def to_json(self) -> dict[str, Any]:
        latencies = self.outcome.all_latencies()
        return {
            "scenario": self.scenario,
            "contender": self.contender,
            "round": self.round,
            "rate_per_s": round(self.outcome.rate_per_s, 1),
            "p50_ms": latencies.percentile_ns(50) / MS,
            "p99_ms": latencies.percentile_ns(99) / MS,
            "cpu_us_per_request": round(self.cpu_us_per_request, 1),
            "sync_ms": round(self.sync_ms, 3),
            "outcome": self.outcome.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the range it comes from."""

    median: float
    smallest: float
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises ValueError without any value."""
        if not values:
            raise ValueError("a spread of nothing")
        return cls(median(values), min(values), max(values))


Reading = Callable[[Measurement], float]


def rate(measurement: Measurement) -> float:
    """Successful requests per second."""
    return measurement.outcome.rate_per_s


def cpu_us(measurement: Measurement) -> float:
    """Processor time per request, in microseconds."""
    return measurement.cpu_us_per_request


def latency_ms(percent: float) -> Reading:
    """The percentile over every kind of request, in milliseconds."""
    return lambda measurement: measurement.outcome.all_latencies().percentile_ns(percent) / MS


def spread(measurements: Sequence[Measurement], scenario: str, contender: str, reading: Reading) -> Spread | None:
    """The reading over all rounds; None where it was not measured."""
    values = [reading(m) for m in measurements if m.scenario == scenario and m.contender == contender]
    return Spread.of(values) if values else None


def ratio(
    measurements: Sequence[Measurement], scenario: str, ours: str, theirs: str, reading: Reading
) -> Spread | None:
    """`ours` divided by `theirs` within each round; None where a round has only one of them."""
    values: dict[tuple[str, int], float] = {
        (m.contender, m.round): reading(m) for m in measurements if m.scenario == scenario
    }
    rounds = sorted({number for _, number in values})
    pairs = [(values.get((ours, number)), values.get((theirs, number))) for number in rounds]
    ratios = [mine / other for mine, other in pairs if mine is not None and other]
    return Spread.of(ratios) if ratios else None
