"""Which profiles a user has and which one is selected: remembered for a while, for a bounded number of users.

An entry lives `selection_ttl_s`. Whoever changes profiles through this gateway sees the change at once, in this
gateway; others see it when their entry ends. A profile that the entry does not know is looked for once more in the
store (it may have been made through another gateway), at most once per `MISS_RELOAD_S` and user.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.errors import ProfileNotFound
from gateway.profile_store import ProfileStore
from gateway.profiles import Profiles
from gateway.settings import GatewaySettings
from storage.clock import Clock
from storage.layout.address import Address, check_id

MISS_RELOAD_S = 1.0


@dataclass(slots=True)
class _Entry:
    """What was read of one user, when (Clock.now), and the addresses already made of it."""

    profiles: Profiles
    selected: str
    read_at: float
    addresses: dict[str, Address] = field(default_factory=dict)

    def address(self, user: str, profile: str | None) -> Address | None:
        profile = self.selected if profile is None else profile
        address = self.addresses.get(profile)
        if address is None and profile in self.profiles:
            address = self.addresses[profile] = Address.parse(user, profile)
        return address


class ProfileDirectory:
    """Resolves (user, profile or the selected one) to an address, creating the user's documents if absent."""

    def __init__(self, store: ProfileStore, *, clock: Clock, settings: GatewaySettings) -> None:
        self._store = store
        self._clock = clock
        self._ttl_s = settings.selection_ttl_s
        self._users_max = settings.selection_users_max
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._loading: dict[str, asyncio.Task[_Entry]] = {}

    def cached(self, user: str, profile: str | None) -> Address | None:
        """The address, if it is known without asking the store. `profile` None is the selected one."""
        entry = self._entries.get(user)
        if entry is None or self._clock.now() - entry.read_at >= self._ttl_s:
            return None
        self._entries.move_to_end(user)
        return entry.address(user, profile)

    async def resolve(self, user: str, profile: str | None) -> Address:
        """The address. Raises InvalidId, ProfileNotFound, and what the store raises."""
        address = self.cached(user, profile)
        if address is not None:
            return address
        check_id(user, "user")
        if profile is not None:
            check_id(profile, "profile")
        entry = self._entries.get(user)
        if entry is None or self._clock.now() - entry.read_at >= min(MISS_RELOAD_S, self._ttl_s):
            entry = await self._load(user)
        address = entry.address(user, profile)
        if address is None:
            raise ProfileNotFound(f"user {user!r} has no profile {profile!r}")
        return address

    async def read(self, user: str) -> tuple[Profiles, str]:
        """The user's profiles and the selected one, fresh from the store."""
        entry = await self._load(check_id(user, "user"))
        return entry.profiles, entry.selected

    async def change(self, user: str, change: Callable[[Profiles], Profiles]) -> tuple[Profiles, str]:
        """Change profiles.json; `change` may run again when somebody else was faster."""
        check_id(user, "user")
        try:
            profiles = await self._store.change(user, change)
        finally:
            self.forget(user)
        entry = await self._load(user)
        return profiles, entry.selected

    async def select(self, user: str, profile: str) -> None:
        """Make `profile` the selected one. Raises ProfileNotFound."""
        profiles, _ = await self.read(user)
        profiles.entry(profile)
        try:
            await self._store.select(user, profile)
        finally:
            self.forget(user)
        await self._load(user)

    def forget(self, user: str) -> None:
        """Drop what is remembered; a reading already under way is not remembered either."""
        self._entries.pop(user, None)
        self._loading.pop(user, None)

    async def _load(self, user: str) -> _Entry:
        """One reading per user at a time, shared by all who wait for it."""
        task = self._loading.get(user)
        if task is None:
            task = asyncio.create_task(self._read(user))
            self._loading[user] = task
            task.add_done_callback(lambda done: self._loaded(user, done))
        return await asyncio.shield(task)

    async def _read(self, user: str) -> _Entry:
        read_at = self._clock.now()
        profiles, selected = await self._store.read_or_create(user)
        return _Entry(profiles, selected, read_at)

    def _loaded(self, user: str, task: asyncio.Task[_Entry]) -> None:
        failed = task.cancelled() or task.exception() is not None
        if self._loading.get(user) is not task:
            return
        del self._loading[user]
        if failed:
            return
        self._entries[user] = task.result()
        self._entries.move_to_end(user)
        while len(self._entries) > self._users_max:
            self._entries.popitem(last=False)
