"""Why a user of r2 mode should move to an actor: size, slow loads and saves, lost races, wishes for an actor. Pure.

Each reason names its figure.
"""

from __future__ import annotations

from typing import Protocol

LARGE_BYTES = 1 << 20
GROWING_BYTES = 512 << 10
SLOW_S = 0.25


class Measured(Protocol):
    """What r2 mode knows of a user (figures.py)."""

    lost_races: int
    needs_actor: int

    @property
    def load_s_p95(self) -> float: ...

    @property
    def save_s_p95(self) -> float: ...


def reasons_to_move(size_bytes: int, measured: Measured | None) -> tuple[str, ...]:
    """The reasons, none for who is well served; without measured figures only the size can be one."""
    reasons = []
    if size_bytes >= GROWING_BYTES:
        over = " (over 1 MiB)" if size_bytes > LARGE_BYTES else ""
        reasons.append(f"size {size_bytes / LARGE_BYTES:.1f} MiB{over}")
    if measured is not None:
        for what, seconds in (("load", measured.load_s_p95), ("save", measured.save_s_p95)):
            if seconds >= SLOW_S:
                reasons.append(f"{what} p95 {seconds:.2f} s")
        if measured.lost_races:
            reasons.append(f"lost races {measured.lost_races}")
        if measured.needs_actor:
            reasons.append(f"asked {measured.needs_actor} times for what only an actor can do")
    return tuple(reasons)
