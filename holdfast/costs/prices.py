"""Prices of Cloudflare R2, and the table the product was planned with. Pure.

R2, standard storage: developers.cloudflare.com/r2/pricing, read in 2026. Deletes and egress are free. The free tier (10
GB, 1 million class A, 10 million class B a month) and the rounding up to whole millions are left out: they belong to an
account, not to a user.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "developers.cloudflare.com/r2/pricing, read in 2026"
GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars: a month of a gigabyte, a million operations."""

    storage_gb_month: float
    class_a_million: float
    class_b_million: float

    def month(self, *, stored_bytes: float, class_a: float, class_b: float) -> float:
        """What a month costs."""
        return (
            stored_bytes / GB * self.storage_gb_month
            + class_a / 1e6 * self.class_a_million
            + class_b / 1e6 * self.class_b_million
        )


R2 = Prices(storage_gb_month=0.015, class_a_million=4.50, class_b_million=0.36)


@dataclass(frozen=True, slots=True)
class PlannedTable:
    """The table of the plan: R2 files against Cloudflare's own Durable Objects, whose requests it counts as included.
    `break_even_requests_day` is what it says: 'around 10+ requests per user per day'."""

    r2_storage_gb_month: float = 0.015
    r2_reads_million: float = 0.36
    actor_storage_gb_month: float = 0.20
    break_even_requests_day: float = 10.0


PLANNED = PlannedTable()
