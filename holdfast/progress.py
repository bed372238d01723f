"""A line on stderr that says how far long work has come; silent unless somebody watches.

Redrawn at most ten times a second. Time arrives as an argument, so that nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

REDRAW_INTERVAL_S = 0.1
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Progress:
    """Counts `unit`s of one piece of work. Use as a context manager: leaving it ends the line."""

    def __init__(
        self, what: str, *, stream: TextIO, shown: bool, now: Callable[[], float], total: int | None = None
    ) -> None:
        self._what = what
        self._stream = stream
        self._shown = shown
        self._now = now
        self._total = total
        self._done = 0
        self._drawn_at = float("-inf")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown:
            self._draw()
            self._stream.write("\n")
            self._stream.flush()

    def advance(self, count: int) -> None:
        """`count` bytes more are done."""
        self._done += count
        now = self._now()
        if self._shown and now - self._drawn_at >= REDRAW_INTERVAL_S:
            self._drawn_at = now
            self._draw()

    def _draw(self) -> None:
        text = f"{self._what}: {format_bytes(self._done)}"
        if self._total:
            text += f" of {format_bytes(self._total)} ({100 * self._done // self._total} %)"
        self._stream.write(f"\r\x1b[K{text}")
        self._stream.flush()


def wants_progress(stream: TextIO, asked: bool) -> bool:
    """Shown on a terminal, or where asked for."""
    return asked or stream.isatty()


def format_bytes(count: float) -> str:
    """`1536` as `1.5 KiB`."""
    for unit in _UNITS[:-1]:
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {_UNITS[-1]}"
