"""A user's flag: where to look first for their data. Pure.

Key `migrated:{user}`, value JSON `{"mode", "profiles", "at", "by"}`: `mode` is the user's, and that of profiles created
later; `profiles` maps those that differ; `at` is Unix seconds, `by` says who set it. A bare `true`, as older code wrote
it, means the actor for all profiles. A flag is a hint: the state in the file's body decides (rule 14).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from storage.errors import CorruptObject
from storage.layout.address import check_id

KEY_PREFIX = "migrated:"
FLAG_BYTES_MAX = 64 << 10
_BARE = b"true"


class ServedMode(StrEnum):
    """How a database is served. `split`: hot data in r2 mode, what is archived by the actor."""

    R2 = "r2"
    SPLIT = "split"
    ACTOR = "actor"


@dataclass(frozen=True, slots=True)
class Flag:
    """See the module. `at` is None where nobody wrote it down."""

    mode: ServedMode
    profiles: Mapping[str, ServedMode] = field(default_factory=dict)
    at: float | None = None
    by: str = ""

    def mode_of(self, profile: str) -> ServedMode:
        """The mode of one profile; of one that the flag does not name, its user's."""
        return self.profiles.get(profile, self.mode)

    def with_profile(self, profile: str, mode: ServedMode, *, at: float, by: str) -> Flag:
        """The flag after one profile changed its mode; the user's own mode stays."""
        others = {name: each for name, each in self.profiles.items() if name != profile}
        changed = others if mode is self.mode else {**others, profile: mode}
        return Flag(self.mode, changed, at, by)


class _Document(msgspec.Struct):
    mode: str
    profiles: dict[str, str] = msgspec.field(default_factory=dict)
    at: float | None = None
    by: str = ""


def flag_key(user: str) -> str:
    """The user's key. Raises InvalidId."""
    return KEY_PREFIX + check_id(user, "user")


def user_of(key: str) -> str | None:
    """Whose flag `key` is; None if it is none."""
    return key.removeprefix(KEY_PREFIX) if key.startswith(KEY_PREFIX) and key != KEY_PREFIX else None


def encode_flag(flag: Flag) -> bytes:
    """The value to store."""
    profiles = {profile: mode.value for profile, mode in sorted(flag.profiles.items())}
    return msgspec.json.encode({"mode": flag.mode.value, "profiles": profiles, "at": flag.at, "by": flag.by})


def decode_flag(value: bytes, what: str) -> Flag:
    """The flag in a stored value, or CorruptObject naming `what` it was read from. Unknown fields are ignored."""
    if value.strip() == _BARE:
        return Flag(ServedMode.ACTOR)
    if len(value) > FLAG_BYTES_MAX:
        raise CorruptObject(f"flag {what}: {len(value)} bytes, at most {FLAG_BYTES_MAX} are a flag")
    try:
        found = msgspec.json.decode(value, type=_Document)
        profiles = {profile: ServedMode(mode) for profile, mode in found.profiles.items()}
        return Flag(ServedMode(found.mode), profiles, found.at, found.by)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise CorruptObject(f"flag {what}: {error}") from error
