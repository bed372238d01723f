"""The log's side of deleting a profile: asks the actor to end, then closes its log (rule 21)."""

from __future__ import annotations

import random
from collections.abc import Mapping

from actors.call import Op
from actors.durability.closing import close_address
from gateway.router import Router
from storage.clock import Clock
from storage.errors import CorruptObject, LogGap
from storage.layout.address import Address
from storage.layout.keys import database_key, log_prefix
from storage.objects.port import ObjectStore
from storage.r2_sqlite.burial import bury_file


class LogErasure:
    """Implements `gateway.parts.ActorErasure`. `retention_s`: how long slots and tombstone stay."""

    def __init__(
        self, router: Router, store: ObjectStore, env: str, *, clock: Clock, rng: random.Random, retention_s: float
    ) -> None:
        self._router = router
        self._store = store
        self._env = env
        self._clock = clock
        self._rng = rng
        self._retention_s = retention_s

    async def erase(self, address: Address) -> Mapping[str, object]:
        """End the actor, close its log, or bury the file of r2 mode. What remains, and until when (Unix seconds).

        A log that nobody can read cannot be closed, and needs not be: no activation opens it. `damage` says so then.
        """
        until = self._clock.wall() + self._retention_s
        key = database_key(self._env, address)
        log = log_prefix(self._env, address)
        try:
            closed = await close_address(
                self._store, self._env, address, clock=self._clock, rng=self._rng, release=self._release
            )
            await bury_file(self._store, key, clock=self._clock, rng=self._rng)  # one that r2 mode may write
        except (CorruptObject, LogGap) as error:
            return {"log": log, "damage": error.code, "until": until}
        return {"log": log if closed else None, "until": until}

    async def _release(self, address: Address) -> None:
        await self._router.call(address, Op.RELEASE, {})
