"""Which activations have to leave, for idleness or for room. Pure.

Memory is a budget per host: what comes up is admitted within it, and those that have been idle longest make room.
Activations in use never do. When they alone hold the budget, nobody leaves and the newcomer is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from storage.layout.address import Address

SLACK_DIVISOR = 16


@dataclass(frozen=True, slots=True)
class Occupant:
    """One live activation as the budget sees it. `idle`: neither busy nor with anything waiting."""

    address: Address
    memory_bytes: int
    last_used: float
    idle: bool


def plan_idle_eviction(occupants: Iterable[Occupant], *, now: float, idle_evict_s: float) -> tuple[Address, ...]:
    """Everyone who has been idle for `idle_evict_s` seconds."""
    return tuple(o.address for o in occupants if o.idle and now - o.last_used >= idle_evict_s)


def plan_room(
    occupants: Iterable[Occupant], *, needed_bytes: int, held_bytes: int, memory_bytes_max: int
) -> tuple[Address, ...] | None:
    """Who leaves so that `needed_bytes` more fit, least recently used first; empty: nobody has to; None: it cannot be.

    Once anybody has to leave, up to a sixteenth of the budget more is freed, so that a full host does not sort its
    whole population for every newcomer.
    """
    excess = held_bytes + needed_bytes - memory_bytes_max
    if excess <= 0:
        return ()
    wished = excess + memory_bytes_max // SLACK_DIVISOR
    leaving: list[Address] = []
    freed = 0
    for occupant in sorted((o for o in occupants if o.idle), key=lambda o: o.last_used):
        if freed >= excess and freed + occupant.memory_bytes > wished:
            break
        leaving.append(occupant.address)
        freed += occupant.memory_bytes
    return tuple(leaving) if freed >= excess else None
