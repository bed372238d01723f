"""Deleting profiles and users: by tombstone and retention (rule 21), resumable at every step.

A record of the deletion is written first; whoever finds it later (the same request again, the sweep of any gateway)
goes on from there. The profile is unreachable from the moment its user's documents no longer name it. Its files go
at once; its log and tombstone stay until the record's `until`, then the sweep removes them, the record last.
Objects shared between users (`games/`) are nobody's to delete.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec

from gateway.erasure_record import ErasureRecord, decode_record, encode_record
from gateway.errors import ProfileNotFound
from gateway.parts import ActorErasure
from gateway.profile_directory import ProfileDirectory
from gateway.profile_store import ProfileStore
from gateway.profiles import Profiles
from storage.clock import Clock
from storage.errors import InvalidRequest, ObjectNotFound
from storage.layout.address import Address
from storage.layout.keys import (
    database_key,
    erasure_key,
    erasure_prefix,
    log_prefix,
    profile_prefix,
    profiles_key,
    selected_profile_key,
    user_prefix,
)
from storage.objects.port import ObjectStore

DELETES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What a deletion did: objects deleted by folder, and the records of what stays."""

    files: Mapping[str, int]
    records: tuple[ErasureRecord, ...]


class Eraser:
    """Deletes profiles and users of one environment."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        env: str,
        profiles: ProfileStore,
        directory: ProfileDirectory,
        actors: ActorErasure,
        clock: Clock,
        erase_flag: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._erase_flag = erase_flag
        self._store = store
        self._env = env
        self._profiles = profiles
        self._directory = directory
        self._actors = actors
        self._clock = clock

    async def delete_profile(self, address: Address) -> ErasureReport:
        """Delete one profile; the selection falls back to the default. Raises ProfileNotFound, DefaultProfile."""
        known = await self._profiles.read(address.user)
        begun = await self._record(address)
        if begun is None or begun.until is None:
            if known is not None and address.profile in known:
                known.remove(address.profile)
            elif begun is None:
                raise ProfileNotFound(f"user {address.user!r} has no profile {address.profile!r}")
        return await self._finish(begun or await self._begin(address, whole_user=False))

    async def delete_user(self, user: str) -> ErasureReport:
        """Delete all profiles of a user, known or found in the bucket, and everything else under their prefix."""
        known = await self._profiles.read(user)
        ids = set(known.by_id) if known else set()
        ids |= await self._profiles_in_bucket(user)
        records = [await self._begin(Address.parse(user, profile), whole_user=True) for profile in sorted(ids)]
        await self._profiles.forget(user)
        self._directory.forget(user)
        reports = [await self._finish(record) for record in records]
        files = Counter[str]()
        for report in reports:
            files.update(report.files)
        files.update(await self._delete_outside_profiles(user))
        await self._delete_flag(user)
        return ErasureReport(files, tuple(record for report in reports for record in report.records))

    async def sweep(self) -> int:
        """Go on with unfinished deletions and remove what has been kept long enough. Deletions dealt with."""
        count = 0
        start_after = ""
        while True:
            page = await self._store.list(erasure_prefix(self._env), start_after=start_after)
            for info in page.objects:
                try:
                    record = decode_record((await self._store.get(info.key)).body, info.key)
                except ObjectNotFound:
                    continue
                if record.until is None:
                    await self._finish(record)
                elif record.is_over(page.store_time):
                    await self._purge(record)
                else:
                    continue
                count += 1
            if page.next_start_after is None:
                return count
            start_after = page.next_start_after

    async def _record(self, address: Address) -> ErasureRecord | None:
        key = erasure_key(self._env, address)
        try:
            return decode_record((await self._store.get(key)).body, key)
        except ObjectNotFound:
            return None

    async def _begin(self, address: Address, *, whole_user: bool) -> ErasureRecord:
        begun = await self._record(address)
        if begun is not None:
            return begun
        record = ErasureRecord(address.user, address.profile, whole_user, requested_at=self._clock.wall())
        await self._store.put(erasure_key(self._env, address), encode_record(record))
        return record

    async def _finish(self, record: ErasureRecord) -> ErasureReport:
        """Every step may have been done before. What is over is not closed again: its time runs from the first end."""
        address = record.address
        if record.until is not None:
            return ErasureReport(await self._delete_files(address), (record,))
        if record.whole_user:
            await self._forget_user_of(address)
            await self._delete_flag(address.user)
        else:
            await self._unlist(address)
        remains = dict(await self._actors.erase(address))
        until = remains.pop("until", None)
        files = await self._delete_files(address)
        until_s = float(until) if isinstance(until, int | float) else self._clock.wall()
        done = msgspec.structs.replace(record, until=until_s, remains=remains)
        await self._store.put(erasure_key(self._env, address), encode_record(done))
        return ErasureReport(files, (done,))

    async def _delete_flag(self, user: str) -> None:
        """Where to look first for a user who is gone is nowhere. The tombstones decide, with or without it."""
        if self._erase_flag is not None:
            await self._erase_flag(user)

    async def _unlist(self, address: Address) -> None:
        """Take a profile out of its user's documents."""

        def remove(profiles: Profiles) -> Profiles:
            return profiles.remove(address.profile) if address.profile in profiles else profiles

        known = await self._profiles.read(address.user)
        if known is not None and address.profile in known:
            _, selected = await self._directory.read(address.user)
            changed, _ = await self._directory.change(address.user, remove)
            if selected == address.profile:
                await self._profiles.select(address.user, changed.default)
        self._directory.forget(address.user)

    async def _forget_user_of(self, address: Address) -> None:
        """A killed deletion of a whole user may have left its documents; newer ones do not name this profile."""
        known = await self._profiles.read(address.user)
        if known is not None and address.profile in known:
            await self._profiles.forget(address.user)
        self._directory.forget(address.user)

    async def _delete_files(self, address: Address) -> Counter[str]:
        """Everything of a profile but its log and the tombstone, counted by folder."""
        prefix = profile_prefix(self._env, address)
        kept = log_prefix(self._env, address), database_key(self._env, address)
        return await self._delete(prefix, lambda key: not key.startswith(kept[0]) and key != kept[1])

    async def _delete_outside_profiles(self, user: str) -> Counter[str]:
        """What older layouts left under the user's prefix."""
        prefix = user_prefix(self._env, user)
        documents = {profiles_key(self._env, user), selected_profile_key(self._env, user)}
        return await self._delete(prefix, lambda key: not key.startswith(f"{prefix}profiles/") and key not in documents)

    async def _purge(self, record: ErasureRecord) -> None:
        """The retention time is over: the log from its first slot, then the tombstone, the record last."""
        address = record.address
        await self._delete(log_prefix(self._env, address), lambda key: True, at_once=1)
        await self._delete(profile_prefix(self._env, address), lambda key: True)
        await self._store.delete(erasure_key(self._env, address))

    async def _delete(
        self, prefix: str, wanted: Callable[[str], bool], *, at_once: int = DELETES_AT_ONCE
    ) -> Counter[str]:
        """Delete the wanted keys below a prefix, page by page in ascending order; counts by first folder."""
        counts = Counter[str]()
        async for keys in self._pages(prefix):
            chosen = [key for key in keys if wanted(key)]
            for start in range(0, len(chosen), at_once):
                batch = chosen[start : start + at_once]
                await asyncio.gather(*(self._store.delete(key) for key in batch))
            counts.update(key.removeprefix(prefix).partition("/")[0] for key in chosen)
        return counts

    async def _profiles_in_bucket(self, user: str) -> set[str]:
        """Profiles that have objects, whatever profiles.json says. One listing per profile: its objects are skipped."""
        prefix = f"{user_prefix(self._env, user)}profiles/"
        found = set[str]()
        start_after = ""
        while True:
            page = await self._store.list(prefix, start_after=start_after, limit=1)
            if not page.objects:
                return found
            profile = page.objects[0].key.removeprefix(prefix).partition("/")[0]
            try:
                found.add(Address.parse(user, profile).profile)
            except InvalidRequest:
                pass  # no address: `_delete_outside_profiles` does not reach it either, and no actor ever served it
            start_after = f"{prefix}{profile}/\U0010ffff"

    async def _pages(self, prefix: str) -> AsyncIterator[list[str]]:
        start_after = ""
        while True:
            page = await self._store.list(prefix, start_after=start_after)
            yield [info.key for info in page.objects]
            if page.next_start_after is None:
                return
            start_after = page.next_start_after
