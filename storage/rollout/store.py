"""The rollout's document in the bucket: read, remembered for a while, changed by compare-and-swap."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from storage.clock import Clock
from storage.errors import HoldfastError, ObjectNotFound, Unavailable
from storage.layout.keys import rollout_key
from storage.objects.port import ObjectStore
from storage.objects.settle import Taken, put_settled
from storage.rollout.document import Rollout, decode_rollout, encode_rollout

CHANGE_ATTEMPTS_MAX = 10
SENDS_MAX = 5
_CONTENT_TYPE = "application/json"

log = logging.getLogger(__name__)


class RolloutStore:
    """The document of one environment."""

    def __init__(self, store: ObjectStore, env: str, *, clock: Clock, rng: random.Random) -> None:
        self._store = store
        self._key = rollout_key(env)
        self._clock = clock
        self._rng = rng

    async def read(self) -> Rollout:
        """The document; without one nobody is eligible. Raises CorruptObject, UnsupportedVersion, Unavailable."""
        return (await self._read())[0]

    async def change(self, change: Callable[[Rollout], Rollout], *, by: str) -> Rollout:
        """Apply `change`, again on the newer document while others are faster. Returns what was stored.

        Raises what `change` raises, Unavailable after `CHANGE_ATTEMPTS_MAX` lost races.
        """
        for _ in range(CHANGE_ATTEMPTS_MAX):
            found, etag = await self._read()
            changed = replace(change(found), revision=found.revision + 1, at=self._clock.wall(), by=by)
            if await self._put(encode_rollout(changed), etag):
                return changed
        raise Unavailable(f"{self._key}: changed {CHANGE_ATTEMPTS_MAX} times meanwhile", retry_after_s=1.0)

    async def _read(self) -> tuple[Rollout, str | None]:
        try:
            stored = await self._store.get(self._key)
        except ObjectNotFound:
            return Rollout(), None
        return decode_rollout(stored.body, self._key), stored.info.etag

    async def _put(self, body: bytes, etag: str | None) -> bool:
        """Whether it was stored; False when somebody else was faster."""
        absent: Literal["*"] | None = "*" if etag is None else None
        settled = await put_settled(
            self._store,
            self._key,
            body,
            put_id=f"{self._rng.getrandbits(128):032x}",
            clock=self._clock,
            rng=self._rng,
            content_type=_CONTENT_TYPE,
            if_none_match=absent,
            if_match=etag,
            attempts_max=SENDS_MAX,
        )
        return not isinstance(settled, Taken)


class RolloutCache:
    """The document as a gateway remembers it. One that cannot be read leaves the one of before in force."""

    def __init__(self, rollouts: RolloutStore, clock: Clock, *, ttl_s: float) -> None:
        self._rollouts = rollouts
        self._clock = clock
        self._ttl_s = ttl_s
        self._rollout = Rollout()
        self._until = float("-inf")
        self.failures = 0

    async def get(self) -> Rollout:
        """The document, at most `ttl_s` seconds old while the store answers."""
        now = self._clock.now()
        if now < self._until:
            return self._rollout
        self._until = now + self._ttl_s  # others meanwhile take the one of before
        try:
            self._rollout = await self._rollouts.read()
        except HoldfastError as error:
            self.failures += 1
            log.warning("rollout not read: %s", error.message)
        return self._rollout
