"""What r2 mode has measured, in all and per user: what says who should move to an actor, and why. Pure.

Per user the latest size, the last `SAMPLES_MAX` times of loading and saving, lost races, and how often something was
asked for that needs an actor. A bounded number of users is remembered, those served last.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

SAMPLES_MAX = 128


@dataclass(slots=True)
class UserFigures:
    """Of one user. Sizes in bytes, times in seconds."""

    size_bytes: int = 0
    loads_s: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))
    saves_s: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))
    lost_races: int = 0
    needs_actor: int = 0

    @property
    def load_s_p95(self) -> float:
        return _p95(self.loads_s)

    @property
    def save_s_p95(self) -> float:
        return _p95(self.saves_s)


class Figures:
    """Of one gateway. The totals count since it started."""

    def __init__(self, users_max: int) -> None:
        self._users_max = users_max
        self._users: OrderedDict[str, UserFigures] = OrderedDict()
        self.loads = 0
        self.saves = 0
        self.lost_races = 0
        self.unknown_saves = 0
        self.needs_actor = 0

    def loaded(self, user: str, size_bytes: int, seconds: float) -> None:
        self.loads += 1
        figures = self.of(user)
        figures.size_bytes = size_bytes
        figures.loads_s.append(seconds)

    def saved(self, user: str, size_bytes: int, seconds: float) -> None:
        self.saves += 1
        figures = self.of(user)
        figures.size_bytes = size_bytes
        figures.saves_s.append(seconds)

    def lost_race(self, user: str) -> None:
        self.lost_races += 1
        self.of(user).lost_races += 1

    def needed_actor(self, user: str) -> None:
        self.needs_actor += 1
        self.of(user).needs_actor += 1

    def of(self, user: str) -> UserFigures:
        """The figures of one user, from now on remembered."""
        found = self._users.setdefault(user, UserFigures())
        self._users.move_to_end(user)
        while len(self._users) > self._users_max:
            self._users.popitem(last=False)
        return found

    def users(self) -> Iterator[tuple[str, UserFigures]]:
        """Everybody remembered."""
        yield from self._users.items()


def _p95(samples: deque[float]) -> float:
    """The 95th percentile; 0 without samples."""
    ordered = sorted(samples)
    return ordered[(len(ordered) * 95 + 99) // 100 - 1] if ordered else 0.0
