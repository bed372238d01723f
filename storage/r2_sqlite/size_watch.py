"""When the size of a file is worth a line in the log, and which. Pure.

Above half a MiB an info, above one MiB the warning that asks for a migration: each once per user and hour. What is seen
is counted every time.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

from storage.r2_sqlite.settings import R2ModeSettings

MIB = 1 << 20


class Level(Enum):
    """How loud."""

    INFO = "info"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Notice:
    """A line to be logged."""

    level: Level
    text: str


class SizeWatch:
    """Remembers whom it has spoken of, for a bounded number of users. `infos`, `warnings`: requests counted."""

    def __init__(self, settings: R2ModeSettings) -> None:
        self._settings = settings
        self._said_at: OrderedDict[tuple[str, Level], float] = OrderedDict()
        self.infos = 0
        self.warnings = 0

    def notice(self, user: str, size: int, now: float) -> Notice | None:
        """What to log about a file of `size` bytes at `now` (seconds of a clock that does not go back)."""
        level = self._level_of(size)
        if level is None:
            return None
        if level is Level.WARNING:
            self.warnings += 1
        else:
            self.infos += 1
        said_at = self._said_at.get((user, level))
        if said_at is not None and now - said_at < self._settings.notice_interval_s:
            return None
        self._said_at[user, level] = now
        self._said_at.move_to_end((user, level))
        while len(self._said_at) > self._settings.users_watched_max:
            self._said_at.popitem(last=False)
        return Notice(level, size_text(size, level, self._settings))

    def _level_of(self, size: int) -> Level | None:
        if size > self._settings.size_warning_bytes:
            return Level.WARNING
        return Level.INFO if size > self._settings.size_info_bytes else None


def size_text(size: int, level: Level, settings: R2ModeSettings) -> str:
    """The line's text."""
    if level is Level.INFO:
        return f"Database size ({size / 1024:.0f}KB) exceeds {settings.size_info_bytes / 1024:g}KB."
    return (
        f"DATABASE MIGRATION RECOMMENDED: Database size ({size / MIB:.1f}MB) exceeds "
        f"{settings.size_warning_bytes / MIB:g}MB. Consider migrating archived data to Durable Objects."
    )
