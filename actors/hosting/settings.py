"""Settings of hosts and of the way to them: values with defaults, checked once. Sizes in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from storage.errors import InvalidRequest

PlacementMode = Literal["dedicated", "shared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """One host's bounds. `memory_bytes_max` is what all its activations together may hold; a dedicated host ends itself
    `retire_after_s` after its activation was evicted."""

    inbox_calls_max: int = 1024
    inbox_bytes_max: int = 64 << 20
    waiting_calls_max: int = 256
    activating_max: int = 1024
    activations_at_once: int = 16
    releases_at_once: int = 32
    memory_bytes_max: int = 2 << 30
    activation_bytes_estimate: int = 270 << 10
    idle_evict_s: float = 900.0
    retire_after_s: float = 60.0
    sweep_interval_s: float = 5.0
    release_timeout_s: float = 60.0
    drain_timeout_s: float = 120.0
    backoff_first_s: float = 0.25
    backoff_max_s: float = 5.0
    pass_budget_s: float = 0.002
    turn_interrupt_s: float = 10.0
    turn_fatal_s: float = 60.0

    def validate(self) -> HostSettings:
        """Self, or `InvalidRequest` naming the setting that makes no sense."""
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise InvalidRequest(f"{name} is {getattr(self, name)}, expected more than 0")
        if self.turn_fatal_s <= self.turn_interrupt_s:
            raise InvalidRequest(
                f"turn_fatal_s is {self.turn_fatal_s:g}, expected more than turn_interrupt_s, {self.turn_interrupt_s:g}"
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementSettings:
    """Which host an address belongs to: one of its own, or one of `shared_hosts`."""

    mode: PlacementMode = "dedicated"
    shared_hosts: int = 2

    def validate(self) -> PlacementSettings:
        if self.mode not in ("dedicated", "shared"):
            raise InvalidRequest(f"placement is {self.mode!r}, expected dedicated or shared")
        if self.shared_hosts < 1:
            raise InvalidRequest(f"shared_hosts is {self.shared_hosts}, expected at least 1")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    """How long the gateway's side tries before it answers an error."""

    connect_timeout_s: float = 5.0
    reply_timeout_s: float = 120.0
    ping_after_s: float = 15.0
    ping_timeout_s: float = 90.0
    host_start_timeout_s: float = 30.0
    resend_for_s: float = 20.0
    resend_first_s: float = 0.01
    resend_max_s: float = 0.5
    links_max: int = 10_000
    addresses_cached_max: int = 100_000
