"""Whether a user is eligible for an actor, and why. Pure.

The order: kill switch, per-user override (`deny`), allow list, percentage, default (not eligible). The percentage goes
by a salted hash of the user id, so that raising it only ever adds users. Eligible means that a migration may move the
user; how a user is served is decided by the state in the file's body, so a no sends nobody back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from storage.rollout.document import PERCENT_STEPS, Rollout

BUCKETS = 100 * PERCENT_STEPS


class Reason(StrEnum):
    """Which step of the order decided."""

    KILLED = "killed"
    DENIED = "denied"
    ALLOWED = "allowed"
    PAUSED = "paused"
    PERCENTAGE = "percentage"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Decision:
    """See the module."""

    eligible: bool
    reason: Reason


def decide(rollout: Rollout, user: str) -> Decision:
    """The first step of the order that has something to say."""
    if rollout.killed:
        return Decision(False, Reason.KILLED)
    if user in rollout.deny:
        return Decision(False, Reason.DENIED)
    if user in rollout.allow:
        return Decision(True, Reason.ALLOWED)
    if bucket_of(rollout.salt, user) >= round(rollout.percent * PERCENT_STEPS):
        return Decision(False, Reason.DEFAULT)
    return Decision(False, Reason.PAUSED) if rollout.paused else Decision(True, Reason.PERCENTAGE)


def bucket_of(salt: str, user: str) -> int:
    """A user's place from 0 to 9999: eligible at every percentage above a hundredth of it."""
    digest = hashlib.sha256(f"{salt}:{user}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS
