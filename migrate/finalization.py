"""The end of a migration: after the retention time the sealed file's data gives way to a tombstone (rule 19).

Until then the file is the way to look at what was moved. It may not have changed since the cut-over: who changed it
writes past the gateway, and what they wrote is nowhere else. The file itself is never deleted (finding 27).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from migrate.decision import Goal
from migrate.errors import ForeignWriter, TooEarly, WrongDirection
from migrate.parts import MigrationParts
from migrate.profile_finder import databases_of
from migrate.record_store import RecordStore
from migrate.user_record import ProfileRecord, UserRecord, UserState
from storage.errors import ObjectNotFound
from storage.layout.address import Address
from storage.layout.keys import database_key
from storage.objects.port import StoredObject
from storage.r2_sqlite.change import swap_file
from storage.r2_sqlite.file_state import FileState, Mode, read_state, tombstone_body
from storage.r2_sqlite.transition import Event


class Fate(StrEnum):
    """What became of one file."""

    TOMBSTONE = "tombstone"
    ALREADY = "already a tombstone"
    CHANGED = "changed meanwhile"


@dataclass(frozen=True, slots=True)
class Finalized:
    """One profile. `bytes`: what the sealed file weighed."""

    profile: str
    fate: Fate
    bytes: int


class Finalization:
    """Of one user."""

    def __init__(self, parts: MigrationParts, user: str) -> None:
        self._parts = parts
        self._user = user
        self._records = RecordStore(parts)

    async def run(self, *, execute: bool = True) -> list[Finalized]:
        """Every profile of the user. Raises TooEarly, ForeignWriter and WrongDirection before anything is changed."""
        record = await self._records.read(self._user)
        if record is None or record.goal is not Goal.ACTOR or not record.finished:
            raise WrongDirection(f"user {self._user}: not moved to an actor, nothing to finalize")
        found = [await self._look(profile, record) for profile in await self._profiles()]
        return [await self._finalize(*each) if execute else _planned(*each) for each in found]

    async def check(self) -> None:
        """Whether every sealed file is what the cut-over left. Raises ForeignWriter."""
        record = await self._records.read(self._user)
        for profile in await self._profiles():
            entry = None if record is None else record.profile(profile)
            if entry is not None and entry.state is UserState.ACTOR:
                file, state = await self._read(profile)
                _check_unchanged(f"{self._user}/{profile}", file, state, entry)

    async def _profiles(self) -> list[str]:
        return sorted(await databases_of(self._parts.store, self._parts.env, self._user))

    async def _read(self, profile: str) -> tuple[StoredObject, FileState]:
        key = database_key(self._parts.env, Address.parse(self._user, profile))
        try:
            file = await self._parts.store.get(key)
        except ObjectNotFound as error:
            raise ForeignWriter(f"{self._user}/{profile}: the sealed file is gone") from error
        return file, read_state(file.body)

    async def _look(self, profile: str, record: UserRecord) -> tuple[str, StoredObject, FileState]:
        file, state = await self._read(profile)
        entry = record.profile(profile)
        if file.body == tombstone_body(state) and state.state is Mode.ACTOR:
            return profile, file, state  # finalized before, or created as an actor
        if entry.state is not UserState.ACTOR:
            raise WrongDirection(f"{self._user}/{profile}: {entry.state.value}, not moved to an actor")
        _check_unchanged(f"{self._user}/{profile}", file, state, entry)
        now = (await self._parts.store.list(file.info.key, limit=1)).store_time
        left_s = file.info.modified_at + self._parts.settings.retention_s - now
        if left_s > 0:
            raise TooEarly(
                f"{self._user}/{profile}: sealed {(now - file.info.modified_at) / 86_400:.1f} days ago, "
                f"kept for {self._parts.settings.retention_s / 86_400:g}",
                retry_after_s=left_s,
            )
        return profile, file, state

    async def _finalize(self, profile: str, file: StoredObject, state: FileState) -> Finalized:
        if file.body == tombstone_body(state):
            return Finalized(profile, Fate.ALREADY, file.info.size)
        parts = self._parts
        swapped = await swap_file(
            parts.store, file, Event.FINALIZE, clock=parts.clock, rng=parts.rng, rules=parts.rules.file
        )
        if swapped is None:
            return Finalized(profile, Fate.CHANGED, file.info.size)
        at = parts.clock.wall()

        def note(record: UserRecord | None) -> UserRecord:
            assert record is not None
            entry = record.profile(profile)
            return record.with_profile(profile, msgspec.structs.replace(entry, etag=swapped.info.etag, finalized_at=at))

        await self._records.change(self._user, note)
        return Finalized(profile, Fate.TOMBSTONE, file.info.size)


def _planned(profile: str, file: StoredObject, state: FileState) -> Finalized:
    done = file.body == tombstone_body(state)
    return Finalized(profile, Fate.ALREADY if done else Fate.TOMBSTONE, file.info.size)


def _check_unchanged(what: str, file: StoredObject, state: FileState, entry: ProfileRecord) -> None:
    if (state.state, state.gen) != (Mode.ACTOR, entry.gen):
        raise ForeignWriter(
            f"{what}: the sealed file says {state.state.value} {state.gen}, expected actor {entry.gen}: "
            "somebody wrote past the gateway"
        )
    if entry.etag and file.info.etag != entry.etag and file.body != tombstone_body(state):
        raise ForeignWriter(
            f"{what}: the sealed file has ETag {file.info.etag}, expected {entry.etag}: somebody wrote past the gateway"
        )
