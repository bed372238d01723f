"""What a run has come to: counts, pauses, failures by cause; as a status line, as JSON, as text for people. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from migrate.decision import Goal

FAILURES_SHOWN = 20


class Ending(StrEnum):
    """Why a run is over."""

    DONE = "done"
    PAUSED = "paused"
    TOO_MANY_FAILURES = "too many failures"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class UserLine:
    """One user's part. `result` is a `user_migration.Result` or `failed`; times in seconds, sizes in bytes."""

    user: str
    result: str
    seconds: float
    pause_s: float | None = None
    bytes: int = 0
    code: str = ""
    message: str = ""

    @property
    def bad(self) -> bool:
        return self.result in ("failed", "quarantined")


@dataclass(slots=True)
class Report:
    """Of one run; grows while it goes on."""

    run: str
    goal: Goal
    total: int
    lines: list[UserLine] = field(default_factory=list)
    left_out: Mapping[str, str] = field(default_factory=dict)
    ending: Ending | None = None
    seconds: float = 0.0

    @property
    def counts(self) -> Counter[str]:
        return Counter(line.result for line in self.lines)

    @property
    def failures(self) -> int:
        """Users that count against `--max-failures`: a quarantined file is nobody's failure."""
        return self.counts["failed"]

    def pause_s(self, share: float) -> float | None:
        """A percentile of the time that writes had to wait, per user; None where nobody's had to."""
        return percentile([line.pause_s for line in self.lines if line.pause_s is not None], share)

    def status(self, seconds: float) -> str:
        """One line for people, `seconds` after the start."""
        done, total = len(self.lines), self.total
        share = 100 * done / total if total else 100.0
        words = [f"{self.goal.value}: {done}/{total} {share:.1f}%"]
        words += [f"{result} {count}" for result, count in sorted(self.counts.items())]
        if (p50 := self.pause_s(0.5)) is not None:
            words.append(f"pause p50 {p50:.2f} s p99 {self.pause_s(0.99):.2f} s")
        rate = done / seconds if seconds > 0 and done else 0.0
        words.append(f"{rate:.1f} users/s")
        words.append(f"ETA {duration((total - done) / rate)}" if rate and done < total else f"time {duration(seconds)}")
        return "; ".join(words)

    def document(self) -> dict[str, object]:
        """The report as JSON."""
        causes: dict[str, list[str]] = {}
        for line in self.lines:
            if line.bad:
                causes.setdefault(line.code or line.result, []).append(line.user)
        return {
            "run": self.run,
            "goal": self.goal.value,
            "ending": None if self.ending is None else self.ending.value,
            "seconds": round(self.seconds, 3),
            "users": self.total,
            "counts": dict(sorted(self.counts.items())),
            "pause_s": {"p50": self.pause_s(0.5), "p99": self.pause_s(0.99)},
            "causes": causes,
            "left_out": dict(self.left_out),
            "lines": [line_document(line) for line in self.lines],
        }

    def text(self) -> str:
        """The end of a run, for people."""
        lines = [f"run {self.run}: {'-' if self.ending is None else self.ending.value}", self.status(self.seconds)]
        bad = [line for line in self.lines if line.bad]
        lines += [f"  {line.result} {line.user}: {line.message}" for line in bad[:FAILURES_SHOWN]]
        if len(bad) > FAILURES_SHOWN:
            lines.append(f"  and {len(bad) - FAILURES_SHOWN} more; the report file has them all")
        lines += [f"  left out {user}: {reason}" for user, reason in list(self.left_out.items())[:FAILURES_SHOWN]]
        return "\n".join(lines)


def line_document(line: UserLine) -> dict[str, object]:
    """One user's line as JSON; what is empty is left out."""
    fields = {
        "user": line.user,
        "result": line.result,
        "seconds": round(line.seconds, 3),
        "pause_s": line.pause_s,
        "bytes": line.bytes,
        "code": line.code,
        "message": line.message,
    }
    return {name: value for name, value in fields.items() if value not in (None, "")}


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that `share` of all do not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000 * len(ordered)) // 1000) - 1))]


def duration(seconds: float) -> str:
    """`3725` as `1:02:05`."""
    whole = round(max(0.0, seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
