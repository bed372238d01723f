"""What an activation is made of besides its address: the outside world, as values and ports."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from actors.durability.counters import Counters
from actors.durability.disk import Disk
from actors.durability.group_commit import GroupCommit
from actors.durability.offload import Offload, in_thread
from actors.durability.rules import Rules
from actors.settings import ActorSettings
from storage.clock import Clock
from storage.objects.port import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Shared by every activation of a host. `rules` is the protocol; only tests pass another."""

    store: ObjectStore
    disk: Disk
    clock: Clock
    rng: random.Random
    env: str
    settings: ActorSettings
    group_commit: GroupCommit
    offload: Offload = in_thread
    rules: Rules = field(default_factory=Rules)
    host: str = ""
    counters: Counters = field(default_factory=Counters)

    def new_id(self) -> str:
        """128 random bits in hex: claim-ids and put-ids."""
        return f"{self.rng.getrandbits(128):032x}"
