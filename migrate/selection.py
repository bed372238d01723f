"""Who is moved, and in which order. No I/O but listing.

The order is that of the rollout's salted hash, so that a run over 5 percent and a later one over 25 percent begin with
the same users. Forwards the rollout has a say: a kill switch stops everybody, denied users stay, and without another
word only those who are eligible move. The way back is open to everybody, always.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from migrate.decision import Goal
from migrate.errors import MigrationError
from migrate.parts import MigrationParts
from migrate.profile_finder import all_users
from migrate.record_store import RecordStore
from storage.errors import InvalidRequest
from storage.layout.address import check_id
from storage.rollout.decision import BUCKETS, Reason, bucket_of, decide
from storage.rollout.document import Rollout

USERS_FILE_BYTES_MAX = 64 << 20


class RolloutKilled(MigrationError):
    """The kill switch is on: nobody is moved forwards."""

    code = "rollout_killed"


@dataclass(frozen=True, slots=True)
class Selection:
    """What the command line says. Without any of the first four: those whom the rollout makes eligible.

    `run`: those whose record was last written by that run (for going back). `limit` 0: no limit.
    """

    users: tuple[str, ...] = ()
    percent: float | None = None
    everybody: bool = False
    run: str = ""
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """`users` in their order; `left_out` says why others who were named are not among them."""

    users: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


def choose(found: Iterable[str], selection: Selection, rollout: Rollout, goal: Goal) -> Chosen:
    """Of the users `found`, those to move. Raises RolloutKilled, InvalidRequest."""
    if goal is Goal.ACTOR and rollout.killed:
        raise RolloutKilled("the rollout's kill switch is on: `holdfast rollout kill --off` ends it")
    if selection.percent is not None and not 0 <= selection.percent <= 100:
        raise InvalidRequest(f"percent {selection.percent:g}: expected 0 to 100")
    ordered = sorted(set(found), key=lambda user: (bucket_of(rollout.salt, user), user))
    chosen, left_out = [], {}
    for user in ordered:
        reason = _reason_against(user, selection, rollout, goal)
        if reason is None:
            chosen.append(user)
        elif user in selection.users or reason == Reason.DENIED.value:
            left_out[user] = reason
    if selection.limit:
        chosen = chosen[: selection.limit]
    return Chosen(tuple(chosen), left_out)


async def select_users(parts: MigrationParts, selection: Selection, rollout: Rollout, goal: Goal) -> Chosen:
    """The same, with the users that the bucket knows."""
    if selection.users:
        found = [check_id(user, "user") for user in selection.users]
    elif selection.run:
        found = await _users_of_run(parts, selection.run)
    else:
        found = [user async for user in all_users(parts.store, parts.env)]
    return choose(found, selection, rollout, goal)


def read_users_file(path: Path) -> tuple[str, ...]:
    """One user id per line; blank lines and what follows `#` do not count. Raises InvalidRequest, OSError."""
    if path.stat().st_size > USERS_FILE_BYTES_MAX:
        raise InvalidRequest(f"users file {path}: more than {USERS_FILE_BYTES_MAX} bytes")
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return tuple(check_id(line, "user") for line in lines if line)


def _reason_against(user: str, selection: Selection, rollout: Rollout, goal: Goal) -> str | None:
    if goal is Goal.R2:
        return None if _within(user, selection, rollout) else Reason.PERCENTAGE.value
    if user in rollout.deny:
        return Reason.DENIED.value
    if selection.users or selection.everybody:
        return None
    if selection.percent is not None:
        return None if _within(user, selection, rollout) else Reason.PERCENTAGE.value
    decision = decide(rollout, user)
    return None if decision.eligible else decision.reason.value


def _within(user: str, selection: Selection, rollout: Rollout) -> bool:
    if selection.percent is None:
        return True
    return bucket_of(rollout.salt, user) < round(selection.percent * BUCKETS / 100)


async def _users_of_run(parts: MigrationParts, run: str) -> list[str]:
    records = RecordStore(parts)
    found = []
    async for user in records.users():
        record = await records.read(user)
        if record is not None and record.run == run:
            found.append(user)
    return found
