"""Moves one user: every profile with a database, one after the other, then the flag. The record goes along.

An odd profile is quarantined with its reason and does not hold up the user's others. Whoever calls again goes on where
the file and the log are, not where the record says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from migrate.decision import Goal, Step
from migrate.errors import ForeignWriter, MigrationError, Quarantined, Superseded, WrongDirection
from migrate.flagging import set_flag
from migrate.layout.hold import layout_hold
from migrate.mover import Look, Moved, Mover
from migrate.parts import MigrationParts
from migrate.profile_finder import databases_of
from migrate.record_store import RecordStore
from migrate.user_record import ProfileRecord, UserRecord, UserState, WrongStep
from storage.errors import CorruptObject, CorruptSegment, LogGap
from storage.flags.flag import ServedMode
from storage.layout.address import Address
from storage.r2_sqlite.file_state import Mode

logger = logging.getLogger(__name__)

STATE_AT: Mapping[Step, UserState] = {
    Step.SEAL: UserState.SEALING,
    Step.IMPORT: UserState.IMPORTING,
    Step.SNAPSHOT: UserState.VERIFYING,
    Step.CUT_OVER: UserState.VERIFYING,
    Step.ABORT: UserState.ROLLING_BACK,
    Step.RETURN: UserState.ROLLING_BACK,
    Step.DRAIN: UserState.ROLLING_BACK,
    Step.CLOSE: UserState.ROLLING_BACK,
    Step.REOPEN: UserState.ROLLING_BACK,
}


BEGINNINGS = frozenset({Step.SEAL, Step.RETURN})
# Writes wait while notes are written, and R2 takes one write per second and key: in between only slow moves are noted.
NOTE_INTERVAL_S = 1.0

# From what is written of a profile to what is to be written.
_Change = Callable[[ProfileRecord], ProfileRecord]


class Result(StrEnum):
    """What became of one user in this run."""

    MOVED = "moved"
    ALREADY = "already there"
    QUARANTINED = "quarantined"
    NOTHING = "nothing to move"


@dataclass(frozen=True, slots=True)
class UserOutcome:
    """See `Result`. `pause_s`: the longest time that writes of one profile had to wait; None where none had to."""

    user: str
    result: Result
    profiles: Mapping[str, UserState]
    pause_s: float | None
    bytes: int
    reasons: Mapping[str, str]


class UserMigration:
    """One user, one goal."""

    def __init__(self, parts: MigrationParts, user: str, goal: Goal) -> None:
        self._parts = parts
        self._user = user
        self._goal = goal
        self._records = RecordStore(parts)

    async def run(self, *, force: bool = False) -> UserOutcome:
        """Carry every profile to the goal. Raises MigrationError and what the bucket raises; call again to go on.

        A rollback that was begun is not turned around by a migration: WrongDirection says so.
        """
        databases = await databases_of(self._parts.store, self._parts.env, self._user)
        if not databases:
            return UserOutcome(self._user, Result.NOTHING, {}, None, 0, {})
        await self._check_layout()
        await self._begin()
        moved = False
        failure: MigrationError | None = None
        for profile in sorted(databases):
            try:
                moved |= await self._move(profile, force=force)
            except Quarantined as error:
                await self._note(profile, _quarantined(error))
                logger.warning(
                    "quarantined: %s", error.message, extra={"user": self._user, "profile": profile, **error.details}
                )
            except WrongDirection as error:
                failure = error
        record = await self._records.read(self._user)
        assert record is not None
        await self._set_flag(record)
        if failure is not None:
            raise failure
        return self._outcome(record, sorted(databases), moved=moved)

    async def _check_layout(self) -> None:
        """A layout move on its way seals the file too, and that seal is not the beginning of a cut-over."""
        if self._goal is not Goal.ACTOR:
            return
        held = await layout_hold(self._parts.store, self._parts.env, self._user)
        if held is not None:
            raise WrongDirection(f"user {self._user}: their layout move is {held.value}; let it end first")

    async def _begin(self) -> None:
        """Say where the user is to go. The last command counts; but a migration waits for a rollback's end."""

        def begin(record: UserRecord | None) -> UserRecord:
            if record is None:
                return UserRecord(self._user, self._goal)
            if record.goal is self._goal:
                return record
            if self._goal is Goal.ACTOR and not record.finished:
                raise WrongDirection(f"user {self._user}: a rollback is under way ({record.run}); let it end first")
            return msgspec.structs.replace(record, goal=self._goal)

        await self._records.change(self._user, begin)

    async def _move(self, profile: str, *, force: bool) -> bool:
        """One profile. Whether this driver changed anything."""

        noted_at = float("-inf")

        async def witness(step: Step, look: Look) -> None:
            nonlocal noted_at
            state, now = STATE_AT.get(step), self._parts.clock.now()
            if state is None or (step not in BEGINNINGS and now - noted_at < NOTE_INTERVAL_S):
                return
            noted_at = now
            await self._note(profile, lambda before: _at_step(before, step, state, look, self._parts.clock.wall()))

        mover = Mover(self._parts, Address.parse(self._user, profile), witness=witness)
        try:
            moved = await mover.move(self._goal, force=force)
        except (CorruptObject, LogGap) as error:
            if self._goal is not Goal.ACTOR:
                raise  # there is no file to go on with: an operator has to look at the log
            if not isinstance(error, CorruptSegment | LogGap):
                raise Quarantined(error.message, details={"reason": "corrupt"}) from error
            await mover.unseal()
            raise Quarantined(error.message, details={"reason": "corrupt"}) from error
        if moved.end is Step.RETURNING:
            raise WrongDirection(f"user {self._user}, profile {profile}: on its way back to r2 mode; roll back first")
        if moved.end in (Step.DONE, Step.DELETED):
            await self._note(profile, lambda before: _at_end(before, moved, self._goal, self._parts.clock.wall()))
        return moved.steps > 0

    async def _note(self, profile: str, change: _Change) -> None:
        """Bring the record up to date. Raises Superseded where somebody wants the user elsewhere by now."""

        def note(record: UserRecord | None) -> UserRecord:
            record = record or UserRecord(self._user, self._goal)
            if record.goal is not self._goal:
                raise Superseded(f"user {self._user}: run {record.run} wants {record.goal.value} since")
            before = record.profile(profile)
            after = change(before)
            if after == before and profile in record.profiles:
                return record
            return record.with_profile(profile, after)

        try:
            await self._records.change(self._user, note)
        except WrongStep as error:
            await self._check_overtaken(profile, error)

    async def _check_overtaken(self, profile: str, error: WrongStep) -> None:
        """The record is ahead of what this driver has seen: another one was faster, and the next look will show it. But
        a file that is still not an actor's, while the record says so, was put there past the gateway."""
        look = await Mover(self._parts, Address.parse(self._user, profile)).look(self._goal)
        if look.state is None or look.state.state not in (Mode.ACTOR, Mode.RETURNING):
            raise ForeignWriter(f"{error}: the sealed file was changed past the gateway") from error

    async def _set_flag(self, record: UserRecord) -> None:
        modes = {
            name: ServedMode.ACTOR if profile.state is UserState.ACTOR else ServedMode.R2
            for name, profile in record.profiles.items()
        }
        await set_flag(
            self._parts.flags, self._user, modes, at=self._parts.clock.wall(), by=self._parts.by or self._parts.run
        )

    def _outcome(self, record: UserRecord, profiles: list[str], *, moved: bool) -> UserOutcome:
        found = {name: record.profile(name) for name in profiles}
        quarantined = any(profile.state is UserState.QUARANTINED for profile in found.values())
        result = Result.QUARANTINED if quarantined else Result.MOVED if moved else Result.ALREADY
        pauses = [profile.pause_s for profile in found.values() if profile.pause_s is not None]
        return UserOutcome(
            self._user,
            result,
            {name: profile.state for name, profile in found.items()},
            max(pauses, default=None) if moved else None,
            sum(profile.bytes for profile in found.values()),
            {name: profile.reason for name, profile in found.items() if profile.reason},
        )


def _at_step(before: ProfileRecord, step: Step, state: UserState, look: Look, now: float) -> ProfileRecord:
    size = before.bytes if look.file is None else look.file.info.size
    changes: dict[str, object] = {"state": state, "bytes": size, "reason": ""}
    if look.state is not None:
        changes["gen"] = look.state.gen
    if step in (Step.SEAL, Step.RETURN):
        changes |= {"sealed_at": now, "pause_s": None, "etag": "", "moved_at": None, "finalized_at": None}
    return msgspec.structs.replace(before, **changes)


def _at_end(before: ProfileRecord, moved: Moved, goal: Goal, now: float) -> ProfileRecord:
    state, file = moved.look.state, moved.look.file
    assert state is not None and file is not None
    if state.state is Mode.ACTOR:
        ended = UserState.ACTOR
        if (before.state, before.gen) == (ended, state.gen) and before.etag:
            return before  # the sealed file's ETag is that of the cut-over, whatever the file has become since
    else:
        ended = UserState.ROLLED_BACK if before.state is not UserState.R2 else UserState.R2
        if before.state is ended:
            return before
    pause_s = moved.pause_s
    if pause_s is None and before.sealed_at is not None and before.moved_at is None:
        pause_s = max(0.0, now - before.sealed_at)  # another driver began it: by the wall clock, then
    return msgspec.structs.replace(
        before,
        state=ended,
        gen=state.gen,
        bytes=file.info.size,
        etag=file.info.etag if ended is UserState.ACTOR else "",
        reason="deleted" if moved.end is Step.DELETED else "",
        pause_s=pause_s,
        moved_at=now,
    )


def _quarantined(error: Quarantined) -> _Change:
    def change(before: ProfileRecord) -> ProfileRecord:
        reason = f"{error.details.get('reason', error.code)}: {error.message}"
        return msgspec.structs.replace(before, state=UserState.QUARANTINED, reason=reason, sealed_at=None)

    return change
