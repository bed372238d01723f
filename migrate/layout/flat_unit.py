"""The units of a move from flat to profiled: every user with files in the old place, and all games as one.

Each unit has an old folder, new folders, and a record. Units are independent: one that fails stops no other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from migrate.layout.listing import list_all
from migrate.layout.plan import MovePlan, plan_moves
from storage.layout.address import Address, check_id
from storage.layout.flat import GAMES, flat_prefix
from storage.layout.keys import profile_prefix, user_prefix
from storage.layout.move_record import GAMES_UNIT, records_prefix, user_unit
from storage.layout.remaining import is_flat_user, root_folders
from storage.objects.port import ObjectInfo, ObjectStore


@dataclass(frozen=True, slots=True)
class FlatUnit:
    """`user` None is the games."""

    env: str
    user: str | None

    @property
    def name(self) -> str:
        return GAMES_UNIT if self.user is None else user_unit(self.user)

    @property
    def old_prefix(self) -> str:
        """Everything in the old place; ends in `/`."""
        return f"{GAMES}/" if self.user is None else flat_prefix(self.user)

    @property
    def new_prefix(self) -> str:
        """Everything in the new place; ends in `/`."""
        return f"{self.env}/{GAMES}/" if self.user is None else f"{user_prefix(self.env, self.user)}profiles/"

    def folders(self, plan: MovePlan) -> list[str]:
        """The folders that hold the targets: an actor's log beside them is not listed for nothing."""
        if self.user is None:
            return [self.new_prefix]
        start = len(self.new_prefix)
        folders = set()
        for move in plan.files:
            profile, first, *rest = move.target[start:].split("/")
            folders.add(f"{self.profile_prefix(profile)}{first}" + ("/" if rest else ""))
        return sorted(folders)

    def profile_prefix(self, profile: str) -> str:
        assert self.user is not None, "games have no profiles"
        return profile_prefix(self.env, Address.parse(self.user, profile))

    def plan(self, sources: list[ObjectInfo], default_profile: str) -> MovePlan:
        return plan_moves(sources, env=self.env, default_profile=default_profile)

    async def sources(self, store: ObjectStore) -> list[ObjectInfo]:
        """What lies in the old place now."""
        return await list_all(store, self.old_prefix)


def parse_unit(env: str, user: str | None) -> FlatUnit:
    """A user's unit, or the games'. Raises InvalidId."""
    return FlatUnit(env, user if user is None else check_id(user, "user"))


async def units_in_old_place(store: ObjectStore, env: str) -> AsyncIterator[FlatUnit]:
    """Units that have something in the old place."""
    async for folder in root_folders(store):
        if folder == GAMES:
            yield FlatUnit(env, None)
        elif is_flat_user(folder):
            yield FlatUnit(env, folder)


async def units_with_records(store: ObjectStore, env: str) -> list[FlatUnit]:
    """Units that a move of this environment knows."""
    prefix = records_prefix(env)
    names = {info.key[len(prefix) :].rpartition("/")[0] for info in await list_all(store, prefix)}
    users = sorted(name.removeprefix("users/") for name in names - {GAMES_UNIT})
    return [FlatUnit(env, user) for user in users] + ([FlatUnit(env, None)] if GAMES_UNIT in names else [])
