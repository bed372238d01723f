"""What a gateway is made of: the parts its application gets from whoever starts it (the front door, a test)."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.modes import ModeParts
from gateway.router import Router
from gateway.settings import GatewaySettings
from storage.clock import Clock, SystemClock
from storage.layout.address import Address
from storage.objects.port import ObjectStore

# One sample that hosts report: metric name, labels, value. A name that ends in `_total` is a counter, else a gauge.
Sample = tuple[str, Mapping[str, str], float]


@dataclass(frozen=True, slots=True)
class HostsReport:
    """Whether the actors' hosts can take requests, with figures for people."""

    ready: bool
    details: Mapping[str, object] = field(default_factory=dict)


async def hosts_always_ready() -> HostsReport:
    """For a router that runs actors in process."""
    return HostsReport(ready=True)


async def no_host_metrics() -> Sequence[Sample]:
    """For hosts that report nothing."""
    return ()


class ActorErasure(Protocol):
    """The log's side of deleting a profile (rule 21)."""

    async def erase(self, address: Address) -> Mapping[str, object]:
        """End the actor, write CLOSE and the tombstone; what remains in the bucket and `until` when (Unix seconds).

        Done again for an address already erased, it only says so. Raises HoldfastError.
        """
        ...


class Migrations(Protocol):
    """Moving users between r2 mode and actors, as an operator asks for it over HTTP. Every method raises HoldfastError;
    what it answers is JSON."""

    async def summary(self) -> Mapping[str, object]:
        """Users by state, whether drivers are paused, who should move."""
        ...

    async def pause(self, *, paused: bool) -> Mapping[str, object]:
        """Pause every driver of this environment, or let them go on."""
        ...

    async def status(self, user: str) -> Mapping[str, object]:
        """How far a user has come."""
        ...

    async def carry_out(self, user: str, step: str, *, execute: bool, force: bool) -> Mapping[str, object]:
        """One step of `STEPS`, for one user; without `execute` only what it would do."""
        ...

    async def release(self, address: Address) -> Mapping[str, object]:
        """Ask whoever owns an address to flush and release: a driver in another process needs it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayParts:
    """Components and values of one gateway. Nothing in here is closed by the application: its maker does that.

    `link_secret` verifies presigned links; None where clients reach the store directly. `modes` serves
    users who are in r2 mode; without it everybody has an actor. `migrations` moves them; without it nobody can ask for
    that. `random_bytes` is for ids, `rng` for jitter.
    """

    router: Router
    store: ObjectStore
    env: str
    erasure: ActorErasure
    settings: GatewaySettings = field(default_factory=GatewaySettings)
    clock: Clock = field(default_factory=SystemClock)
    random_bytes: Callable[[int], bytes] = os.urandom
    rng: random.Random = field(default_factory=random.Random)
    link_secret: bytes | None = field(default=None, repr=False)
    modes: ModeParts | None = None
    migrations: Migrations | None = None
    hosts_ready: Callable[[], Awaitable[HostsReport]] = hosts_always_ready
    host_metrics: Callable[[], Awaitable[Sequence[Sample]]] = no_host_metrics
    version: str = "0"
