"""Keys of the profiled layout, `{env}/users/{user}/profiles/{profile}/…`. Pure."""

from __future__ import annotations

from storage.layout.address import Address

SNAPSHOT_LEVEL = 9


def user_prefix(env: str, user: str) -> str:
    """Everything of one user; ends in `/`."""
    return f"{env}/users/{user}/"


def profiles_key(env: str, user: str) -> str:
    return f"{env}/users/{user}/profiles.json"


def selected_profile_key(env: str, user: str) -> str:
    return f"{env}/users/{user}/selected-profile.json"


def profile_prefix(env: str, address: Address) -> str:
    """Everything of one profile; ends in `/`."""
    return f"{env}/users/{address.user}/profiles/{address.profile}/"


def database_key(env: str, address: Address) -> str:
    """r2 mode's file; in actor mode the tombstone that says so."""
    return f"{profile_prefix(env, address)}database.sqlite"


def log_prefix(env: str, address: Address) -> str:
    """Root of an actor's log (a Litestream replica path); ends in `/`."""
    return f"{profile_prefix(env, address)}log/"


def level_prefix(env: str, address: Address, level: int) -> str:
    return f"{log_prefix(env, address)}{level:04x}/"


def segment_key(env: str, address: Address, level: int, first: int, last: int) -> str:
    return f"{level_prefix(env, address, level)}{first:016x}-{last:016x}.ltx"


def hint_key(env: str, address: Address) -> str:
    return f"{log_prefix(env, address)}current.json"


def orphan_prefix(env: str, address: Address) -> str:
    """Journals that a takeover cut off (rule 6); ends in `/`."""
    return f"{log_prefix(env, address)}orphans/"


def erasure_prefix(env: str) -> str:
    """Records of deletions, under way or waiting for the retention time; ends in `/`."""
    return f"{env}/erasures/"


def erasure_key(env: str, address: Address) -> str:
    return f"{erasure_prefix(env)}{address.user}/{address.profile}.json"


def game_key(env: str, blake3: str) -> str:
    return f"{env}/games/{blake3}.mp4"


def flags_prefix(env: str) -> str:
    """The embedded store of flags, and the rollout's document; ends in `/`."""
    return f"{env}/flags/"


def rollout_key(env: str) -> str:
    """Who may be moved to an actor."""
    return f"{env}/flags/rollout"
