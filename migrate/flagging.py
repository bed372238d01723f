"""The flag of a user, from the modes of their profiles: written after every move, as often as one likes (rule 17)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from storage.flags.flag import Flag, ServedMode
from storage.flags.port import FlagStore


def flag_of(modes: Mapping[str, ServedMode], before: Flag | None, *, at: float, by: str) -> Flag:
    """The flag that says `modes`, one per profile. What they all share becomes the user's own mode, and so that of
    profiles created later; while they differ, the user's own mode stays."""
    if not modes:
        return before or Flag(ServedMode.R2, {}, at, by)
    if len(set(modes.values())) == 1:
        own = next(iter(modes.values()))
    elif before is not None:
        own = before.mode
    else:
        own = Counter(modes.values()).most_common(1)[0][0]
    return Flag(own, {profile: mode for profile, mode in sorted(modes.items()) if mode is not own}, at, by)


async def set_flag(flags: FlagStore, user: str, modes: Mapping[str, ServedMode], *, at: float, by: str) -> bool:
    """Bring the user's flag up to date. Whether anything was written. A profile in split mode has an open file, too,
    and stays what it is until it moves."""
    before = await flags.get(user)
    if before is not None:
        split = {
            name for name, mode in modes.items() if mode is ServedMode.R2 and before.mode_of(name) is ServedMode.SPLIT
        }
        modes = {name: ServedMode.SPLIT if name in split else mode for name, mode in modes.items()}
    after = flag_of(modes, before, at=at, by=by)
    if before is not None and (before.mode, dict(before.profiles)) == (after.mode, dict(after.profiles)):
        return False
    await flags.put(user, after)
    return True
