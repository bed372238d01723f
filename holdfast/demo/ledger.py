"""What clients were told about their writes, held against what the database holds afterwards. Pure.

A write is *acknowledged* when a client saw its success, *unknown* when its answer never came or said so. After all, an
acknowledged write must be there exactly once, an unknown one at most once, and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Verdict:
    """What does not add up. `survived_unknown` counts unknown writes that turned out to be there; that is allowed."""

    missing: tuple[str, ...]
    repeated: tuple[str, ...]
    foreign: tuple[str, ...]
    survived_unknown: int

    @property
    def holds(self) -> bool:
        return not (self.missing or self.repeated or self.foreign)

    def __str__(self) -> str:
        return f"{len(self.missing)} missing, {len(self.repeated)} repeated, {len(self.foreign)} never written"


@dataclass(slots=True)
class Ledger:
    """The keys of one database's writes."""

    acknowledged: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    def acknowledge(self, key: str) -> None:
        """A client saw this write's success."""
        self.unknown.discard(key)
        self.acknowledged.add(key)

    def doubt(self, key: str) -> None:
        """Nobody knows about this write, unless its success is seen later."""
        if key not in self.acknowledged:
            self.unknown.add(key)

    def judge(self, found: Iterable[str]) -> Verdict:
        """Hold the keys found in the database against what clients were told."""
        counts = Counter(found)
        return Verdict(
            missing=tuple(sorted(self.acknowledged - set(counts))),
            repeated=tuple(sorted(key for key, count in counts.items() if count > 1)),
            foreign=tuple(sorted(set(counts) - self.acknowledged - self.unknown)),
            survived_unknown=len(self.unknown & set(counts)),
        )
