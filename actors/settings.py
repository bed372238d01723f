"""Settings of the live side: values with defaults, checked once. Reading the environment is the front door's work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from actors.call import Durability
from storage.errors import InvalidRequest

OwnershipMode = Literal["strict", "single_machine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """Limits of one database and its statements. Sizes in bytes, times in seconds."""

    page_size: int = 4096
    database_bytes_max: int = 1 << 30
    statement_deadline_s: float = 5.0
    inline_budget_s: float = 0.02
    result_rows_max: int = 100_000
    result_bytes_max: int = 16 << 20
    sql_bytes_max: int = 100_000
    value_bytes_max: int = 4 << 20
    parameters_max: int = 1000
    columns_max: int = 200
    like_pattern_bytes_max: int = 1000
    expression_depth_max: int = 100
    compound_select_max: int = 50
    vdbe_ops_max: int = 250_000
    trigger_depth_max: int = 10
    statements_max: int = 1000
    cache_kib: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorSettings:
    """Ownership, durability and life of an actor. Names and defaults: docs/protocol.md."""

    durability: Durability = Durability.LOCAL
    ownership: OwnershipMode = "strict"
    ttl_s: float = 10.0
    grace_s: float = 5.0
    takeover_after_s: float = 0.0
    reply_hold_s: float = 15.0
    flush_interval_s: float = 5.0
    flush_idle_s: float = 1.0
    flush_bytes_max: int = 8 << 20
    segment_bytes_max: int = 256 << 20
    journal_bytes_max: int = 64 << 20
    snapshot_slots_max: int = 1000
    snapshot_age_max_s: float = 86_400.0
    retention_s: float = 30 * 86_400.0
    collect_interval_s: float = 3600.0
    relist_after_s: float = 3600.0
    inbox_calls_max: int = 1024
    inbox_bytes_max: int = 64 << 20
    idle_evict_s: float = 900.0
    idempotency_ttl_s: float = 86_400.0
    database: DatabaseSettings = field(default_factory=DatabaseSettings)

    def validate(self) -> ActorSettings:
        """Self, or `InvalidRequest` naming the setting that breaks a rule of the protocol."""
        if self.retention_s < 86_400:
            raise InvalidRequest(f"retention_s is {self.retention_s:g}, at least 86400 (24 h) is needed (rule 11)")
        for name in ("ttl_s", "grace_s", "flush_interval_s", "journal_bytes_max", "snapshot_slots_max"):
            if getattr(self, name) <= 0:
                raise InvalidRequest(f"{name} is {getattr(self, name)}, expected more than 0")
        if self.relist_after_s > 3600:
            raise InvalidRequest(f"relist_after_s is {self.relist_after_s:g}, at most 3600 (rules 7c and 10)")
        return self
