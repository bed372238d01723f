"""What one user does in a day, and how many operations of the bucket that takes in each mode. Pure.

r2 mode, each request: a read gets the file; a write gets it and puts it back.
An actor, each activation: what opening and releasing a log takes. While it is active: a segment per flush interval in
which something was written; a look per `ttl_s` in which somebody asked but nothing was put (docs/protocol.md, rule 7);
now and then a snapshot.
Counts were measured with a counting store under the real parts; tests/holdfast/costs/test_measured.py measures again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from storage.errors import InvalidRequest

DAYS_A_MONTH = 30


@dataclass(frozen=True, slots=True)
class Operations:
    """By R2's classes: A writes and lists, B reads."""

    class_a: float = 0.0
    class_b: float = 0.0

    def __add__(self, other: Operations) -> Operations:
        return Operations(self.class_a + other.class_a, self.class_b + other.class_b)

    def times(self, count: float) -> Operations:
        return Operations(self.class_a * count, self.class_b * count)


R2_READ = Operations(class_b=1)
R2_WRITE = Operations(class_a=1, class_b=1)
# Opening a log that was released and releasing it again: file and tail read, two listings, TAKE, RELEASE.
ACTIVATION = Operations(class_a=4, class_b=5)
FLUSH = Operations(class_a=1)
LOOK = Operations(class_b=1)
SNAPSHOT = Operations(class_a=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One user's day. `size_bytes` is the database's; requests are spread evenly over `active_s` seconds in
    `activations` sessions; a write changes `changed_bytes` of pages, compressed."""

    size_bytes: float = 1_000_000
    requests_day: float = 100.0
    write_share: float = 0.2
    active_s: float = 3600.0
    activations: float = 1.0
    changed_bytes: float = 4_000

    def validate(self) -> Traffic:
        """Self, or InvalidRequest naming the field."""
        for name in ("size_bytes", "requests_day", "active_s", "activations", "changed_bytes"):
            if not getattr(self, name) >= 0 or math.isinf(getattr(self, name)):
                raise InvalidRequest(f"{name} is {getattr(self, name)}, expected 0 or more")
        if not 0 <= self.write_share <= 1:
            raise InvalidRequest(f"write_share is {self.write_share}, expected 0 to 1")
        return self

    @property
    def writes_day(self) -> float:
        return self.requests_day * self.write_share


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The settings of an actor that its operations depend on; `looks` False is single-machine ownership."""

    flush_interval_s: float = 5.0
    ttl_s: float = 10.0
    snapshot_slots_max: int = 1000
    retention_days: float = 30.0
    looks: bool = True


def r2_operations(traffic: Traffic) -> Operations:
    """A day in r2 mode."""
    reads = traffic.requests_day - traffic.writes_day
    return R2_READ.times(reads) + R2_WRITE.times(traffic.writes_day)


def actor_operations(traffic: Traffic, pace: Pace) -> Operations:
    """A day as an actor."""
    flushes = flushes_day(traffic, pace)
    looks = 0.0
    if pace.looks:
        windows = traffic.active_s / pace.ttl_s if pace.ttl_s else traffic.requests_day
        looks = max(0.0, _occupied(traffic.requests_day, windows) - flushes)
    opened = ACTIVATION.times(min(traffic.activations, traffic.requests_day))
    return opened + FLUSH.times(flushes) + LOOK.times(looks) + SNAPSHOT.times(snapshots_day(traffic, pace))


def actor_stored_bytes(traffic: Traffic, pace: Pace) -> float:
    """What lies in the bucket: the tombstone aside, two snapshots (the newest, and one behind the retention time) and
    the segments of the retention time."""
    return 2 * traffic.size_bytes + traffic.writes_day * traffic.changed_bytes * pace.retention_days


def flushes_day(traffic: Traffic, pace: Pace) -> float:
    """Segments a day: at most one per write and one per flush interval."""
    return _occupied(traffic.writes_day, traffic.active_s / pace.flush_interval_s)


def snapshots_day(traffic: Traffic, pace: Pace) -> float:
    """A snapshot when the tail outweighs the database, holds enough slots, or a day has passed with writes."""
    if not traffic.writes_day:
        return 0.0
    by_slots = flushes_day(traffic, pace) / pace.snapshot_slots_max
    by_bytes = traffic.writes_day * traffic.changed_bytes / max(traffic.size_bytes, 1.0)
    return max(1.0, by_slots, by_bytes)


def _occupied(events: float, windows: float) -> float:
    """How many of `windows` equal spans hold at least one of `events` that fall anywhere: on average."""
    windows = max(windows, 1.0)
    if windows == 1.0:
        return min(events, 1.0)
    occupied: float = windows * (1 - (1 - 1 / windows) ** events)
    return min(events, occupied)
