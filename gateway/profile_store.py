"""profiles.json and selected-profile.json in the bucket: read, created on first access, changed by conditional writes.

Gateways race freely: whoever creates profiles.json first decides the default, the loser adopts it; a change that finds
the document changed in between is made again on the newer one, within a bound.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

from gateway.profiles import (
    PROFILE_ID_BYTES,
    Profiles,
    decode_profiles,
    decode_selection,
    encode_profiles,
    encode_selection,
    first_profiles,
    new_profile_id,
)
from storage.clock import Clock
from storage.errors import ObjectNotFound, Unavailable
from storage.layout.keys import profiles_key, selected_profile_key
from storage.objects.port import ObjectStore
from storage.objects.settle import Taken, put_settled

CHANGE_ATTEMPTS_MAX = 10
SENDS_MAX = 5
JSON = "application/json"


class ProfileStore:
    """The documents of one environment's users. Ids are expected to be checked."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        env: str,
        clock: Clock,
        rng: random.Random,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._env = env
        self._clock = clock
        self._rng = rng
        self._random_bytes = random_bytes

    def new_profile_id(self) -> str:
        return new_profile_id(self._random_bytes(PROFILE_ID_BYTES))

    async def read_or_create(self, user: str) -> tuple[Profiles, str]:
        """The user's profiles and the selected one; both documents exist afterwards.

        A selection that names no profile (any more) counts as the default. Raises CorruptObject, Unavailable.
        """
        profiles = await self._read_or_create_profiles(user)
        selected = await self._read_or_create_selection(user, profiles.default)
        return profiles, selected if selected in profiles else profiles.default

    async def read(self, user: str) -> Profiles | None:
        """The user's profiles, or None for a user never seen. Creates nothing."""
        try:
            return (await self._get_profiles(user))[0]
        except ObjectNotFound:
            return None

    async def change(self, user: str, change: Callable[[Profiles], Profiles]) -> Profiles:
        """Apply `change` to profiles.json, again on the newer document while others are faster."""
        await self._read_or_create_profiles(user)
        for _ in range(CHANGE_ATTEMPTS_MAX):
            profiles, etag = await self._get_profiles(user)
            changed = change(profiles)
            if await self._put(profiles_key(self._env, user), encode_profiles(changed), if_match=etag):
                return changed
        raise Unavailable(f"profiles of user {user!r} changed {CHANGE_ATTEMPTS_MAX} times meanwhile", retry_after_s=1)

    async def select(self, user: str, profile: str) -> None:
        """Write the selection; the last one to write wins."""
        key = selected_profile_key(self._env, user)
        for _ in range(CHANGE_ATTEMPTS_MAX):
            try:
                stored = await self._store.get(key)
            except ObjectNotFound:
                if await self._put(key, encode_selection({}, profile), if_none_match="*"):
                    return
                continue
            _, fields = decode_selection(stored.body, key)
            if await self._put(key, encode_selection(fields, profile), if_match=stored.info.etag):
                return
        raise Unavailable(f"selection of user {user!r} changed {CHANGE_ATTEMPTS_MAX} times meanwhile", retry_after_s=1)

    async def forget(self, user: str) -> None:
        """Remove both documents: the user's profiles cannot be reached any more; a later access starts anew."""
        await self._store.delete(selected_profile_key(self._env, user))
        await self._store.delete(profiles_key(self._env, user))

    async def _read_or_create_profiles(self, user: str) -> Profiles:
        for _ in range(CHANGE_ATTEMPTS_MAX):
            try:
                return (await self._get_profiles(user))[0]
            except ObjectNotFound:
                fresh = first_profiles(self.new_profile_id())
                if await self._put(profiles_key(self._env, user), encode_profiles(fresh), if_none_match="*"):
                    return fresh
        raise Unavailable(f"profiles of user {user!r} appear and disappear", retry_after_s=1)

    async def _read_or_create_selection(self, user: str, default: str) -> str:
        key = selected_profile_key(self._env, user)
        for _ in range(CHANGE_ATTEMPTS_MAX):
            try:
                return decode_selection((await self._store.get(key)).body, key)[0]
            except ObjectNotFound:
                if await self._put(key, encode_selection({}, default), if_none_match="*"):
                    return default
        raise Unavailable(f"selection of user {user!r} appears and disappears", retry_after_s=1)

    async def _get_profiles(self, user: str) -> tuple[Profiles, str]:
        key = profiles_key(self._env, user)
        stored = await self._store.get(key)
        return decode_profiles(stored.body, key), stored.info.etag

    async def _put(
        self, key: str, body: bytes, *, if_none_match: Literal["*"] | None = None, if_match: str | None = None
    ) -> bool:
        """Whether it was stored; False when somebody else was faster."""
        settled = await put_settled(
            self._store,
            key,
            body,
            put_id=self._random_bytes(16).hex(),
            clock=self._clock,
            rng=self._rng,
            content_type=JSON,
            if_none_match=if_none_match,
            if_match=if_match,
            attempts_max=SENDS_MAX,
        )
        return not isinstance(settled, Taken)
