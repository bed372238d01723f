"""Moves many users: so many at once, so many per second, stopped by failures or by the switch in the bucket.

Promises: a user that was begun is carried to an end, or left where the next run goes on; one user's trouble is never
another's. The switch is looked at before each user, at most every `SWITCH_EVERY_S` seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from migrate.decision import Goal
from migrate.errors import StillOwned
from migrate.parts import MigrationParts
from migrate.record_store import RecordStore
from migrate.report import Ending, Report, UserLine
from migrate.user_migration import UserMigration
from storage.errors import HoldfastError, InvalidRequest

SWITCH_EVERY_S = 2.0
ATTEMPTS_MAX = 3
RETRY_S = 1.0
CONCURRENCY_MAX = 256

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """`rate`: users begun per second, 0 for no bound. `failures_max`: failed users that stop the run, 0 for none."""

    concurrency: int = 4
    rate: float = 0.0
    failures_max: int = 10
    force: bool = False

    def validate(self) -> RunOptions:
        """Self, or `InvalidRequest` naming the option at fault."""
        if not 1 <= self.concurrency <= CONCURRENCY_MAX:
            raise InvalidRequest(f"concurrency {self.concurrency}: expected 1 to {CONCURRENCY_MAX}")
        if self.rate < 0 or self.failures_max < 0:
            raise InvalidRequest("rate and max-failures: expected 0 or more")
        return self


class MigrationRun:
    """One run over chosen users. `on_line` is told of every user that came to an end."""

    def __init__(
        self, parts: MigrationParts, goal: Goal, options: RunOptions, *, on_line: Callable[[Report, UserLine], None]
    ) -> None:
        self._parts = parts
        self._goal = goal
        self._options = options.validate()
        self._on_line = on_line
        self._records = RecordStore(parts)
        self._looked_at = float("-inf")
        self._paused = False

    async def move(self, users: Sequence[str]) -> Report:
        """Move them all; the report, whatever became of them. Raises only what is nobody's in particular."""
        report = Report(self._parts.run, self._goal, len(users))
        waiting = list(reversed(users))
        started = self._parts.clock.now()
        pace = _Pace(self._parts, self._options.rate)

        async def work() -> None:
            while waiting and report.ending is None:
                if await self._is_paused():
                    report.ending = Ending.PAUSED
                    return
                user = waiting.pop()
                await pace.wait()
                line = await self._move(user)
                report.lines.append(line)
                report.seconds = self._parts.clock.now() - started
                self._on_line(report, line)
                if 0 < self._options.failures_max <= report.failures:
                    report.ending = Ending.TOO_MANY_FAILURES

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._options.concurrency, len(users))):
                group.create_task(work())
        report.ending = report.ending or Ending.DONE
        report.seconds = self._parts.clock.now() - started
        return report

    async def _move(self, user: str) -> UserLine:
        began_at = self._parts.clock.now()
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                outcome = await UserMigration(self._parts, user, self._goal).run(force=self._options.force)
            except HoldfastError as error:
                waited_enough = isinstance(error, StillOwned)  # two minutes each time: others want to be moved, too
                if error.retryable and attempt < ATTEMPTS_MAX and not waited_enough:
                    await self._parts.clock.sleep(RETRY_S * attempt * (0.5 + self._parts.rng.random()))
                    continue
                logger.warning("not moved: %s", error.message, extra={"user": user, "code": error.code})
                seconds = self._parts.clock.now() - began_at
                return UserLine(user, "failed", seconds, code=error.code, message=error.message)
            reasons = "; ".join(f"{profile}: {reason}" for profile, reason in outcome.reasons.items())
            return UserLine(
                user,
                outcome.result.value,
                self._parts.clock.now() - began_at,
                outcome.pause_s,
                outcome.bytes,
                code=reasons.split(": ")[1] if outcome.result.value == "quarantined" and ": " in reasons else "",
                message=reasons,
            )
        raise AssertionError("unreachable")

    async def _is_paused(self) -> bool:
        now = self._parts.clock.now()
        if now - self._looked_at >= SWITCH_EVERY_S:
            self._looked_at = now
            self._paused = (await self._records.switch()).paused
        return self._paused


class _Pace:
    """Lets users begin at an even rate."""

    def __init__(self, parts: MigrationParts, rate: float) -> None:
        self._clock = parts.clock
        self._interval_s = 1 / rate if rate else 0.0
        self._next_at = self._clock.now()

    async def wait(self) -> None:
        at = max(self._next_at, self._clock.now())
        self._next_at = at + self._interval_s
        if at > self._clock.now():
            await self._clock.sleep(at - self._clock.now())
