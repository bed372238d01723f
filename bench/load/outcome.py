"""What one load found: latencies per kind of request, failures by status, what it cost the generator itself.

Made by each client process, merged over all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.load.histogram import Histogram


@dataclass(slots=True)
class Outcome:
    """`latencies` by the request's kind, successes only. `failures`: HTTP status (or `broken`) -> count.

    `seconds` is the measured time, `cpu_s` the generator's own over that time, `late_ns_max` how late an open loop's
    clock rang at worst (the generator's fault, not the server's).
    """

    latencies: dict[str, Histogram] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu_s: float = 0.0
    late_ns_max: int = 0
    unsent: int = 0
    first_failure: str = ""

    def histogram(self, kind: str) -> Histogram:
        """The kind's histogram, made when first asked for."""
        found = self.latencies.get(kind)
        if found is None:
            found = self.latencies[kind] = Histogram()
        return found

    def all_latencies(self) -> Histogram:
        """Every kind together."""
        merged = Histogram()
        for histogram in self.latencies.values():
            merged.merge(histogram)
        return merged

    @property
    def requests(self) -> int:
        return sum(histogram.count for histogram in self.latencies.values())

    @property
    def rate_per_s(self) -> float:
        """Successful requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0

    def merge(self, other: Outcome) -> None:
        """Add what another process found in the same time."""
        for kind, histogram in other.latencies.items():
            self.histogram(kind).merge(histogram)
        self.failures.update(other.failures)
        self.seconds = max(self.seconds, other.seconds)
        self.cpu_s += other.cpu_s
        self.late_ns_max = max(self.late_ns_max, other.late_ns_max)
        self.unsent += other.unsent
        self.first_failure = self.first_failure or other.first_failure

    def to_json(self) -> dict[str, Any]:
        return {
            "latencies": {kind: histogram.to_json() for kind, histogram in self.latencies.items()},
            "failures": dict(self.failures),
            "seconds": self.seconds,
            "cpu_s": self.cpu_s,
            "late_ns_max": self.late_ns_max,
            "unsent": self.unsent,
            "first_failure": self.first_failure,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        return cls(
            latencies={kind: Histogram.from_json(value) for kind, value in data["latencies"].items()},
            failures=Counter(data["failures"]),
            seconds=data["seconds"],
            cpu_s=data["cpu_s"],
            late_ns_max=data["late_ns_max"],
            unsent=data["unsent"],
            first_failure=data["first_failure"],
        )
