"""What moving a user works with: the outside world, as values and ports."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Protocol

from actors.durability.offload import Offload, in_thread
from actors.settings import DatabaseSettings
from migrate.rules import MigrationRules
from migrate.settings import MigrationSettings
from storage.clock import Clock
from storage.flags.port import FlagStore
from storage.layout.address import Address
from storage.log.actor_log import ActorLog
from storage.objects.port import ObjectStore


class ActorDoor(Protocol):
    """The way to whoever owns an address."""

    async def release(self, address: Address) -> None:
        """Ask the owner to flush and release; bring in what a dead owner left, where that can be done.

        Asking is enough: what came of it is read from the log. Raises HoldfastError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationParts:
    """Shared by everything that moves users of one environment. `run` names the run in records, `by` who started it;
    `rules` is the protocol, only tests pass another."""

    store: ObjectStore
    env: str
    clock: Clock
    rng: random.Random
    flags: FlagStore
    actors: ActorDoor
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    settings: MigrationSettings = field(default_factory=MigrationSettings)
    offload: Offload = in_thread
    rules: MigrationRules = field(default_factory=MigrationRules)
    run: str = ""
    by: str = ""

    def new_id(self) -> str:
        """128 random bits in hex: claim-ids and put-ids."""
        return f"{self.rng.getrandbits(128):032x}"

    def log_of(self, address: Address) -> ActorLog:
        return ActorLog(self.store, self.env, address, self.clock, self.rng)
