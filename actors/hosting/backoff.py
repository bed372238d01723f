"""Which addresses failed to come up lately, and until when they are answered without another try. Pure.

The first failures are short, repeated ones double up to a bound: one user's corrupt log costs the bucket a few
requests a minute, and nobody else anything. Success, or staying quiet for `FORGET_AFTER` of its longest delay, forgets.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from storage.errors import HoldfastError
from storage.layout.address import Address

FAILURES_MAX = 10_000
FORGET_AFTER = 12


@dataclass(frozen=True, slots=True)
class Failure:
    """The last of `count` failures in a row."""

    error: HoldfastError
    count: int
    at: float
    until: float


class FailureBackoff:
    """Bounded memory of failures, oldest forgotten first."""

    def __init__(self, *, first_s: float, max_s: float) -> None:
        self._first_s, self._max_s = first_s, max_s
        self._failures: OrderedDict[Address, Failure] = OrderedDict()

    def record(self, address: Address, error: HoldfastError, now: float) -> None:
        """`address` failed at `now`, once more."""
        last = self._failures.pop(address, None)
        count = 1
        if last is not None and now - last.at < FORGET_AFTER * self._max_s:
            count = last.count + 1
        delay = min(self._max_s, self._first_s * 2.0 ** min(count - 1, 30))
        self._failures[address] = Failure(error, count, now, now + delay)
        while len(self._failures) > FAILURES_MAX:
            self._failures.popitem(last=False)

    def refuse(self, address: Address, now: float) -> HoldfastError | None:
        """The error to answer without a try, with the time until the next one, or None."""
        failure = self._failures.get(address)
        if failure is None or now >= failure.until:
            return None
        return _repeated(failure.error, failure.until - now)

    def clear(self, address: Address) -> None:
        """`address` is well."""
        self._failures.pop(address, None)


def _repeated(error: HoldfastError, retry_after_s: float) -> HoldfastError:
    """`error` once more, without its traceback, so that one instance is not raised over and over."""
    again = type(error).__new__(type(error), error.message)
    again.__dict__.update(error.__dict__)
    again.retry_after_s = max(error.retry_after_s or 0.0, retry_after_s)
    return again
