"""Paths of one database: four shapes, one set of operations. Pure.

/v1/users/{user}/profiles/{profile}/OPERATION      this profile
/v1/users/{user}/OPERATION                         the selected profile
/v1/me/profiles/{profile}/OPERATION                the same two for the user the request itself names
/v1/me/OPERATION
"""

from __future__ import annotations

from dataclasses import dataclass

USER_SHAPES = ("/v1/users/{user}", "/v1/me")
PROFILE_SHAPES = ("/v1/users/{user}/profiles/{profile}", "/v1/me/profiles/{profile}")
DATABASE_SHAPES = (*PROFILE_SHAPES, *USER_SHAPES)


@dataclass(frozen=True, slots=True)
class Target:
    """What a path of a database means; `shape` is one of DATABASE_SHAPES, None stands for `me` and the selected."""

    shape: str
    user: str | None
    profile: str | None
    operation: str


def parse_target(path: str) -> Target | None:
    """The target of a (decoded) path, or None when it has none of the four shapes. Ids are not checked."""
    parts = path.split("/")
    count = len(parts)
    if count < 4 or parts[0] or parts[1] != "v1" or "" in parts[2:]:
        return None
    if parts[2] == "users":
        if count == 7 and parts[4] == "profiles":
            return Target(PROFILE_SHAPES[0], parts[3], parts[5], parts[6])
        if count == 5:
            return Target(USER_SHAPES[0], parts[3], None, parts[4])
    elif parts[2] == "me":
        if count == 6 and parts[3] == "profiles":
            return Target(PROFILE_SHAPES[1], None, parts[4], parts[5])
        if count == 4:
            return Target(USER_SHAPES[1], None, None, parts[3])
    return None
