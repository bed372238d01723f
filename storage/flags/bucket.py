"""Flags as objects in the bucket, `{env}/flags/migrated:{user}`: the embedded default, never stale."""

from __future__ import annotations

from collections.abc import AsyncIterator

from storage.errors import ObjectNotFound
from storage.flags.flag import KEY_PREFIX, Flag, decode_flag, encode_flag, flag_key, user_of
from storage.layout.keys import flags_prefix
from storage.objects.port import ObjectStore

_CONTENT_TYPE = "application/json"


class BucketFlags:
    """Implements `FlagStore`. The object store belongs to whoever made it."""

    def __init__(self, store: ObjectStore, env: str) -> None:
        self._store = store
        self._prefix = flags_prefix(env)

    @property
    def staleness_s(self) -> float:
        return 0.0

    async def get(self, user: str) -> Flag | None:
        key = self._prefix + flag_key(user)
        try:
            stored = await self._store.get(key)
        except ObjectNotFound:
            return None
        return decode_flag(stored.body, key)

    async def put(self, user: str, flag: Flag) -> None:
        await self._store.put(self._prefix + flag_key(user), encode_flag(flag), content_type=_CONTENT_TYPE)

    async def delete(self, user: str) -> None:
        await self._store.delete(self._prefix + flag_key(user))

    async def users(self) -> AsyncIterator[str]:
        prefix, start_after = self._prefix + KEY_PREFIX, ""
        while True:
            page = await self._store.list(prefix, start_after=start_after)
            for info in page.objects:
                if (user := user_of(info.key.removeprefix(self._prefix))) is not None:
                    yield user
            if page.next_start_after is None:
                return
            start_after = page.next_start_after

    async def close(self) -> None:
        return None
