"""Where a key of the flat layout lies in the profiled one, and back. Pure.

Everything below a user moves, folders nobody knows included, into the user's default profile. One name may not stay: in
a profile `log/` belongs to the actor. A first part `log`, `_log`, `__log` … takes one more underscore, which keeps the
mapping one to one.
"""

from __future__ import annotations

import re

from storage.layout.flat import EarlyProfileFile, FlatFile, FlatGame, FlatKey
from storage.layout.part import InvalidKey
from storage.layout.profiled import EnvironmentFile, ProfileFile

DATABASE = "database.sqlite"
PROFILES = "profiles.json"
SELECTION = "selected-profile.json"
_LOG = re.compile(r"_*log\Z")


def new_key(old: FlatKey, *, env: str, default_profile: str) -> str:
    """The key that `old` moves to. `default_profile` takes what belonged to no profile."""
    if isinstance(old, FlatGame):
        return EnvironmentFile(env, f"games/{old.path}").key
    profile = old.profile if isinstance(old, EarlyProfileFile) else default_profile
    return ProfileFile(env, old.user, profile, _inside_profile(old.path)).key


def old_key(new: ProfileFile | EnvironmentFile, *, default_profile: str) -> str | None:
    """The key that `new` came from, or would go back to; None for what the flat layout has no place for."""
    if isinstance(new, EnvironmentFile):
        folder, _, path = new.path.partition("/")
        return FlatGame(path).key if folder == "games" and path else None
    below = _outside_profile(new.path)
    if below is None:
        return None
    if new.profile != default_profile:
        return EarlyProfileFile(new.user, new.profile, below).key
    if below in (PROFILES, SELECTION):
        return None
    try:
        return FlatFile(new.user, below).key
    except InvalidKey:
        return None


def is_document(old: FlatKey) -> bool:
    """Whether it is one of the two documents about profiles, which are read and written anew, not copied."""
    return isinstance(old, FlatFile) and old.path in (PROFILES, SELECTION)


def is_database(old: FlatKey) -> bool:
    """Whether it is a profile's database, the one file that changes all the time."""
    return not isinstance(old, FlatGame) and old.path == DATABASE


def _inside_profile(path: str) -> str:
    first, slash, rest = path.partition("/")
    return f"_{first}{slash}{rest}" if _LOG.match(first) else path


def _outside_profile(path: str) -> str | None:
    first, slash, rest = path.partition("/")
    if not _LOG.match(first):
        return path
    return None if first == "log" else f"{first[1:]}{slash}{rest}"
