"""How long to wait before asking a store again. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from storage.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """Doubling waits with jitter: between half of and the whole of `first_s * 2**n`, never above `longest_s`."""

    first_s: float = 0.1
    longest_s: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.longest_s:
            raise InvalidRequest(f"backoff from {self.first_s} to {self.longest_s} s, expected 0 < first <= longest")

    def wait_s(self, failures: int, chance: float, *, asked_s: float | None = None) -> float:
        """Seconds to wait after the `failures`-th failure in a row (1, 2, …).

        `chance` is a random number from 0 to 1, `asked_s` the store's Retry-After.
        """
        exponent = min(failures - 1, 32)
        longest = min(self.longest_s, self.first_s * 2.0**exponent)
        return max(longest * (0.5 + chance / 2), min(asked_s or 0.0, self.longest_s))
