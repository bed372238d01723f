"""When requests are due: at once after the last answer (closed loop), or at times fixed in advance (open loop).

In an open loop a request's latency counts from the time it was due, not from the time a free connection was found for
it: a server that stalls for a second is charged for everybody who would have come in that second.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """`rate_per_s` None is a closed loop. Times in seconds; what ends before `warmup_s` is over is not counted."""

    duration_s: float
    warmup_s: float = 0.0
    rate_per_s: float | None = None
    arrivals: Literal["poisson", "even"] = "poisson"

    @property
    def open(self) -> bool:
        return self.rate_per_s is not None

    @property
    def span_ns(self) -> int:
        """Warm-up and measurement together."""
        return int((self.warmup_s + self.duration_s) * NS)


def arrival_times_ns(schedule: Schedule, rng: random.Random) -> Iterator[int]:
    """Due times of an open loop, in nanoseconds since its start, rising, until the schedule's end."""
    assert schedule.rate_per_s is not None
    mean_ns = NS / schedule.rate_per_s
    at = mean_ns * rng.random() if schedule.arrivals == "even" else rng.expovariate(1.0) * mean_ns
    while at < schedule.span_ns:
        yield int(at)
        at += mean_ns if schedule.arrivals == "even" else rng.expovariate(1.0) * mean_ns
