"""r2 mode against actors in dollars a month, and the request rate from which one costs less than the other. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from holdfast.costs.prices import GB, PLANNED, R2, PlannedTable, Prices
from holdfast.costs.traffic import (
    DAYS_A_MONTH,
    Operations,
    Pace,
    Traffic,
    actor_operations,
    actor_stored_bytes,
    r2_operations,
)

REQUESTS_DAY_MAX = 1e7
SEARCH_STEPS = 60


@dataclass(frozen=True, slots=True)
class Bill:
    """A month of one user."""

    operations: Operations
    stored_bytes: float
    dollars: float


def r2_bill(traffic: Traffic, prices: Prices = R2) -> Bill:
    """In r2 mode: the file, a get for every request, a put for every write."""
    return _bill(r2_operations(traffic), traffic.size_bytes, prices)


def actor_bill(traffic: Traffic, pace: Pace, prices: Prices = R2) -> Bill:
    """As an actor: log and snapshots, flushes instead of requests."""
    return _bill(actor_operations(traffic, pace), actor_stored_bytes(traffic, pace), prices)


def break_even_requests_day(traffic: Traffic, pace: Pace, prices: Prices = R2) -> float | None:
    """Requests a day and user from which an actor costs less; None when it never does, 0 when it always does."""

    def saved(requests_day: float) -> float:
        at = replace(traffic, requests_day=requests_day)
        return r2_bill(at, prices).dollars - actor_bill(at, pace, prices).dollars

    low, high = 0.0, 1.0
    while saved(high) <= 0:
        low, high = high, high * 2
        if high > REQUESTS_DAY_MAX:
            return None
    for _ in range(SEARCH_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if saved(middle) > 0 else (middle, high)
    return high


def planned_break_even(traffic: Traffic, table: PlannedTable = PLANNED, prices: Prices = R2) -> float:
    """Requests a day from which the plan's table favours Durable Objects: their dearer storage against R2's reads, and
    writes, which the table leaves out and which cost most."""
    dearer = traffic.size_bytes / GB * (table.actor_storage_gb_month - table.r2_storage_gb_month)
    a_request = (table.r2_reads_million + traffic.write_share * prices.class_a_million) / 1e6
    return dearer / a_request / DAYS_A_MONTH


def _bill(day: Operations, stored_bytes: float, prices: Prices) -> Bill:
    month = day.times(DAYS_A_MONTH)
    dollars = prices.month(stored_bytes=stored_bytes, class_a=month.class_a, class_b=month.class_b)
    return Bill(month, stored_bytes, dollars)
