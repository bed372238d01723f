"""When to flush: a function of what waits. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from actors.settings import ActorSettings


@dataclass(frozen=True, slots=True)
class Unflushed:
    """What the journal holds that is not in the bucket. Times are boot clock readings, seconds."""

    byte_size: int
    oldest_at: float
    newest_at: float


def flush_in_s(waiting: Unflushed | None, *, now: float, requested: bool, settings: ActorSettings) -> float | None:
    """Seconds until a flush is due, 0 for at once, None for never: on request (an `r2` reply, a drain), on bytes, on
    idle, on interval."""
    if waiting is None:
        return None
    if requested or waiting.byte_size >= settings.flush_bytes_max:
        return 0.0
    idle_at = waiting.newest_at + settings.flush_idle_s
    interval_at = waiting.oldest_at + settings.flush_interval_s
    return max(0.0, min(idle_at, interval_at) - now)


def local_held(oldest_at: float | None, *, now: float, settings: ActorSettings) -> bool:
    """Rule 7d: no `local` acknowledgement while the oldest unflushed commit, made at `oldest_at`, is too old to keep
    the promise."""
    if oldest_at is None or settings.ownership == "single_machine":
        return False
    return now - oldest_at > settings.flush_interval_s + settings.ttl_s
