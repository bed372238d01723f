"""The profiled layout, today's: an environment, its users, their profiles. Pure.

    {env}/users/{user}/profiles/{profile}/{path}     ProfileFile
    {env}/users/{user}/{path}                        UserFile: profiles.json, selected-profile.json
    {env}/{path}                                     EnvironmentFile: games/{hash}.mp4, flags, records

A value that exists is valid: constructing one with an empty part, a step up or a wrong id raises.
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.layout.address import ENVIRONMENTS, check_id
from storage.layout.part import InvalidKey, check_path


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """A file of one profile; `path` is what the old layouts called it below the user."""

    env: str
    user: str
    profile: str
    path: str

    def __post_init__(self) -> None:
        check_environment(self.env)
        check_id(self.user, "user")
        check_id(self.profile, "profile")
        check_path(self.key)

    @property
    def key(self) -> str:
        return f"{self.env}/users/{self.user}/profiles/{self.profile}/{self.path}"


@dataclass(frozen=True, slots=True)
class UserFile:
    """A file of a user beside the profiles."""

    env: str
    user: str
    path: str

    def __post_init__(self) -> None:
        check_environment(self.env)
        check_id(self.user, "user")
        check_path(self.key)
        if self.path.partition("/")[0] == "profiles":
            raise InvalidKey(f"key {self.key[:140]!r}: expected a profile's file below profiles/")

    @property
    def key(self) -> str:
        return f"{self.env}/users/{self.user}/{self.path}"


@dataclass(frozen=True, slots=True)
class EnvironmentFile:
    """A file of a whole environment."""

    env: str
    path: str

    def __post_init__(self) -> None:
        check_environment(self.env)
        check_path(self.key)
        if self.path.partition("/")[0] == "users":
            raise InvalidKey(f"key {self.key[:140]!r}: expected a user's file below users/")

    @property
    def key(self) -> str:
        return f"{self.env}/{self.path}"


ProfiledKey = ProfileFile | UserFile | EnvironmentFile


def check_environment(text: str) -> str:
    """`text` if it names an environment."""
    if text not in ENVIRONMENTS:
        raise InvalidKey(f"environment {text[:140]!r}: expected one of {', '.join(ENVIRONMENTS)}")
    return text


def parse_profiled(key: str) -> ProfiledKey:
    """What a key of this layout names. Raises InvalidKey, InvalidId."""
    env, _, below = key.partition("/")
    if not below.startswith("users/"):
        return EnvironmentFile(env, below)
    _, user, *rest = below.split("/")
    if rest[:1] != ["profiles"]:
        return UserFile(env, user, "/".join(rest))
    if len(rest) < 3:
        raise InvalidKey(f"key {key[:140]!r}: expected profiles/PROFILE/FILE")
    return ProfileFile(env, user, rest[1], "/".join(rest[2:]))
