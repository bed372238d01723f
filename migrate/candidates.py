"""Who should move to an actor, and why: from the sizes in the bucket, and from what a gateway measured. No writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from migrate.profile_finder import all_users, databases_of
from storage.objects.port import ObjectStore
from storage.r2_sqlite.file_state import Mode, state_from_metadata
from storage.r2_sqlite.reasons import Measured, reasons_to_move


@dataclass(frozen=True, slots=True)
class Candidate:
    """A user with at least one reason. `size`: the largest file of the user in r2 mode, in bytes."""

    user: str
    size: int
    reasons: tuple[str, ...]

    @property
    def weight(self) -> tuple[int, int]:
        """Most reasons first, then the largest."""
        return -len(self.reasons), -self.size


def judge(user: str, size: int, measured: Measured | None) -> Candidate | None:
    """The candidate that these figures make of a user, or None."""
    reasons = reasons_to_move(size, measured)
    return Candidate(user, size, reasons) if reasons else None


async def find_candidates(store: ObjectStore, env: str, measured: Mapping[str, Measured]) -> AsyncIterator[Candidate]:
    """Every user in r2 mode with a reason to move, in the order of keys."""
    async for user in all_users(store, env):
        size = 0
        for info in (await databases_of(store, env, user)).values():
            state = state_from_metadata(info.metadata)
            if state is None or state.state is Mode.OPEN:
                size = max(size, info.size)
        if size and (candidate := judge(user, size, measured.get(user))) is not None:
            yield candidate
