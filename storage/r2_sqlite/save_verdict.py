"""What a look at the file says about a save that got 412, or no answer (rule 14). Pure.

Every save puts its own put-id behind its base's in the ring. So while the base's last id is still there, a save upon
that base would be there too: an absent id means that it was not stored. And since every body has a nonce of its own, a
base that is gone never comes back: a save upon it, however late it arrives, cannot be stored any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from storage.r2_sqlite.rules import FileRules
from storage.r2_sqlite.state import RING_LENGTH_MAX, FileState


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a file: its ETag (None: there is no file) and the state in its body."""

    etag: str | None
    state: FileState


class Verdict(Enum):
    """What is to be done about the save."""

    SAVED = "saved"
    SEND_AGAIN = "send again"
    RUN_AGAIN = "run again"
    UNKNOWN = "unknown"


def judge_save(found: Version, base: Version, put_id: str, rules: FileRules) -> Verdict:
    """The save with `put_id` was sent upon `base`, and `found` is there now.

    SEND_AGAIN: the base still stands; the very same body is sent, so whichever copy lands, its answer is the first
    run's. RUN_AGAIN: it was not stored and never will be.
    """
    if rules.looks_in_ring and put_id in found.state.ring:
        return Verdict.SAVED
    if found.etag == base.etag:
        return Verdict.SEND_AGAIN
    if rules.looks_in_ring and not _would_still_be_there(found.state, base.state):
        return Verdict.UNKNOWN
    return Verdict.RUN_AGAIN


def _would_still_be_there(found: FileState, base: FileState) -> bool:
    """Whether an id put right behind the base's last is certain not to have left the ring."""
    if base.ring:
        return base.ring[-1] in found.ring
    return len(found.ring) < RING_LENGTH_MAX
