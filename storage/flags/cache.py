"""Flags as a gateway remembers them: for `ttl_s` seconds, for a bounded number of users, misses too.

A store of flags that does not answer stops nobody: the flag of before goes on, or none, and is asked for again soon. An
old flag costs one hop, never more, because the file's state decides (rule 14).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass

from storage.clock import Clock
from storage.errors import HoldfastError
from storage.flags.flag import Flag
from storage.flags.port import FlagStore

FAILURE_TTL_S = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a user; `flag` None: there is none."""

    flag: Flag | None
    until: float


class FlagCache:
    """One per gateway. `hits`, `reads` and `failures` are counted."""

    def __init__(self, flags: FlagStore, clock: Clock, *, ttl_s: float, users_max: int) -> None:
        self._flags = flags
        self._clock = clock
        self._ttl_s = ttl_s
        self._users_max = users_max
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._loading: dict[str, asyncio.Task[Known]] = {}
        self.hits = 0
        self.reads = 0
        self.failures = 0

    @property
    def store(self) -> FlagStore:
        """The flags themselves, for those who write them."""
        return self._flags

    def cached(self, user: str) -> Known | None:
        """What is known without asking anybody; None if that is too old, or nothing."""
        known = self._known.get(user)
        if known is None or self._clock.now() >= known.until:
            return None
        self.hits += 1
        return known

    async def get(self, user: str) -> Flag | None:
        """The user's flag as far as it can be known. One reading per user serves all who wait for it."""
        known = self.cached(user)
        if known is not None:
            return known.flag
        task = self._loading.get(user)
        if task is None:
            task = self._loading[user] = asyncio.create_task(self._load(user))
            task.add_done_callback(lambda done: self._loaded(user, done))
        return (await asyncio.shield(task)).flag

    def remember(self, user: str, flag: Flag | None) -> None:
        """What this gateway learned by itself, from now on for `ttl_s` seconds."""
        self._keep(user, Known(flag, self._clock.now() + self._ttl_s))

    async def erase(self, user: str) -> None:
        """Delete the user's flag, in the store and here. Raises what the store's delete raises."""
        await self._flags.delete(user)
        self.remember(user, None)

    def forget(self, user: str) -> None:
        """Ask again next time."""
        self._known.pop(user, None)
        self._loading.pop(user, None)

    async def _load(self, user: str) -> Known:
        asked_at = self._clock.now()
        self.reads += 1
        try:
            return Known(await self._flags.get(user), asked_at + self._ttl_s)
        except HoldfastError as error:
            self.failures += 1
            log.warning("flag not read: %s", error.message, extra={"user": user})
            before = self._known.get(user)
            ttl_s = min(FAILURE_TTL_S, self._ttl_s)
            return Known(before.flag if before else None, self._clock.now() + ttl_s)

    def _loaded(self, user: str, task: asyncio.Task[Known]) -> None:
        if self._loading.get(user) is not task:
            return
        del self._loading[user]
        if not task.cancelled() and task.exception() is None:
            self._keep(user, task.result())

    def _keep(self, user: str, known: Known) -> None:
        self._known[user] = known
        self._known.move_to_end(user)
        while len(self._known) > self._users_max:
            self._known.popitem(last=False)
