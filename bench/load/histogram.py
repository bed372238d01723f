"""Latencies as a log-linear histogram: fixed relative error, a few kilobytes, mergeable between processes. Pure.

Values are whole nanoseconds. Below 256 every value has a bucket of its own; above, each power of two is cut into 128
equal buckets, so a bucket is at most 1/128 of its values wide. Percentiles answer with a bucket's upper edge: they err
upwards, by less than 0.8 %, and never above the largest value seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SUB_BITS = 7
EXACT_BELOW = 1 << (SUB_BITS + 1)
VALUE_MAX = (1 << 44) - 1  # almost five hours
BUCKETS = ((VALUE_MAX.bit_length() - SUB_BITS - 1) << SUB_BITS) + EXACT_BELOW


def bucket_of(value: int) -> int:
    """The bucket that `value` (nanoseconds, 0 to VALUE_MAX) falls into."""
    shift = value.bit_length() - SUB_BITS - 1
    if shift <= 0:
        return value
    return (shift << SUB_BITS) + (value >> shift)


def upper_edge(bucket: int) -> int:
    """The largest value of a bucket."""
    if bucket < EXACT_BELOW:
        return bucket
    shift = (bucket >> SUB_BITS) - 1
    lowest = ((bucket & ((1 << SUB_BITS) - 1)) + (1 << SUB_BITS)) << shift
    return lowest + (1 << shift) - 1


@dataclass(slots=True)
class Histogram:
    """Counts per bucket; `record` is the only thing that happens while a load runs."""

    counts: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    count: int = 0
    total_ns: int = 0
    largest_ns: int = 0

    def record(self, value_ns: int) -> None:
        """One value; below 0 counts as 0, above VALUE_MAX as VALUE_MAX."""
        value_ns = min(max(value_ns, 0), VALUE_MAX)
        self.counts[bucket_of(value_ns)] += 1
        self.count += 1
        self.total_ns += value_ns
        if value_ns > self.largest_ns:
            self.largest_ns = value_ns

    def merge(self, other: Histogram) -> None:
        """Add everything the other one holds."""
        for bucket, count in enumerate(other.counts):
            if count:
                self.counts[bucket] += count
        self.count += other.count
        self.total_ns += other.total_ns
        self.largest_ns = max(self.largest_ns, other.largest_ns)

    def percentile_ns(self, percent: float) -> int:
        """The value that `percent` of all values do not exceed (upper edge of its bucket); 0 without any."""
        if not self.count:
            return 0
        rank, seen = max(1, -(-self.count * percent // 100)), 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if seen >= rank:
                return min(upper_edge(bucket), self.largest_ns)
        raise AssertionError(f"{self.count} values were counted, the buckets hold {seen}")

    def mean_ns(self) -> float:
        """The exact mean; 0 without any value."""
        return self.total_ns / self.count if self.count else 0.0

    def to_json(self) -> dict[str, object]:
        """Buckets that hold something, as pairs."""
        pairs = [[bucket, count] for bucket, count in enumerate(self.counts) if count]
        return {"sub_bits": SUB_BITS, "total_ns": self.total_ns, "largest_ns": self.largest_ns, "counts": pairs}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Histogram:
        """The inverse of `to_json`. Raises ValueError when the data is of another shape."""
        if data.get("sub_bits") != SUB_BITS:
            raise ValueError(f"histogram with {data.get('sub_bits')!r} sub-bucket bits, expected {SUB_BITS}")
        histogram = cls(total_ns=_number(data["total_ns"]), largest_ns=_number(data["largest_ns"]))
        pairs = data["counts"]
        assert isinstance(pairs, Sequence)
        for bucket, count in pairs:
            histogram.counts[bucket] = count
            histogram.count += count
        return histogram


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError(f"histogram holds {value!r}, expected a whole number")
    return value
