"""The flat layout: users and games at the root, no environments. Pure.

    {user}/{path}                        FlatFile
    {user}/profiles/{profile}/{path}     EarlyProfileFile: profiles came first to local trees, before environments
    games/{path}                         FlatGame: games of all users, named by their hash

Reserved ids (`dev`, `users`, `games`, …) keep a user's folder apart from every other layout's first part.
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.errors import InvalidRequest
from storage.layout.address import check_id
from storage.layout.part import InvalidKey, check_path

GAMES = "games"


@dataclass(frozen=True, slots=True)
class FlatFile:
    """A file of a user who has no profiles yet."""

    user: str
    path: str

    def __post_init__(self) -> None:
        check_id(self.user, "user")
        check_path(self.key)
        if _profile_of(self.path) is not None:
            raise InvalidKey(f"key {self.key[:140]!r}: is a profile's file, not a flat one")

    @property
    def key(self) -> str:
        return f"{self.user}/{self.path}"


@dataclass(frozen=True, slots=True)
class EarlyProfileFile:
    """A file of a profile, without an environment."""

    user: str
    profile: str
    path: str

    def __post_init__(self) -> None:
        check_id(self.user, "user")
        check_id(self.profile, "profile")
        check_path(self.key)
        check_path(self.path)

    @property
    def key(self) -> str:
        return f"{self.user}/profiles/{self.profile}/{self.path}"


@dataclass(frozen=True, slots=True)
class FlatGame:
    """A game's video, shared by all users."""

    path: str

    def __post_init__(self) -> None:
        check_path(self.path)
        check_path(self.key)

    @property
    def key(self) -> str:
        return f"{GAMES}/{self.path}"


FlatKey = FlatFile | EarlyProfileFile | FlatGame


def flat_prefix(user: str) -> str:
    """Everything of one user in this layout; ends in `/`."""
    return f"{check_id(user, 'user')}/"


def parse_flat(key: str) -> FlatKey:
    """What a key of this layout names. Raises InvalidKey, InvalidId."""
    first, _, path = key.partition("/")
    if first == GAMES:
        return FlatGame(path)
    profile = _profile_of(path)
    if profile is None:
        return FlatFile(first, path)
    return EarlyProfileFile(first, profile, path.split("/", 2)[2])


def _profile_of(path: str) -> str | None:
    """The profile that a path names; None for a plain one, also where a folder only happens to be called so."""
    parts = path.split("/", 2)
    if len(parts) < 3 or parts[0] != "profiles":
        return None
    try:
        return check_id(parts[1], "profile")
    except InvalidRequest:
        return None
