"""Who is to be moved to an actor: the document `{env}/flags/rollout`, as a value. Pure.

It is a wish: it says who is eligible. Only a migration moves anybody, and nothing here sends a moved user back.
`revision` grows by one with every change, so that no two versions have the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import msgspec

from storage.errors import CorruptObject, InvalidRequest, UnsupportedVersion
from storage.layout.address import check_id

FORMAT_VERSION = 1
PERCENT_STEPS = 100
USERS_MAX = 10_000
_SALT = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Rollout:
    """`percent`: share of users, in steps of 0.01, by their salted hash; `paused` leaves it out of account.

    `allow` names users who are eligible whatever the percentage, `deny` overrides everything for its users but the
    kill switch. `at` (Unix seconds) and `by` tell of the last change.
    """

    percent: float = 0.0
    salt: str = "holdfast"
    paused: bool = False
    killed: bool = False
    allow: frozenset[str] = field(default_factory=frozenset)
    deny: frozenset[str] = field(default_factory=frozenset)
    revision: int = 0
    at: float | None = None
    by: str = ""

    def with_percent(self, percent: float) -> Rollout:
        """Raises InvalidRequest for what is no percentage."""
        if not 0 <= percent <= 100 or round(percent * PERCENT_STEPS) != round(percent * PERCENT_STEPS, 6):
            raise InvalidRequest(f"percentage {percent!r}: expected 0 to 100 in steps of {1 / PERCENT_STEPS:g}")
        return replace(self, percent=percent)

    def allowing(self, users: Iterable[str]) -> Rollout:
        """`users` named eligible, and no longer denied. Raises InvalidId, InvalidRequest."""
        named = _checked(users)
        return _bounded(replace(self, allow=self.allow | named, deny=self.deny - named))

    def denying(self, users: Iterable[str]) -> Rollout:
        """`users` kept out, and no longer named eligible. Raises InvalidId, InvalidRequest."""
        named = _checked(users)
        return _bounded(replace(self, deny=self.deny | named, allow=self.allow - named))

    def unnaming(self, users: Iterable[str]) -> Rollout:
        """`users` on neither list: the percentage decides again. Raises InvalidId."""
        named = _checked(users)
        return replace(self, allow=self.allow - named, deny=self.deny - named)


class _Document(msgspec.Struct):
    format: int
    percent: float
    salt: str
    paused: bool
    killed: bool
    allow: list[str]
    deny: list[str]
    revision: int
    at: float | None = None
    by: str = ""


def encode_rollout(rollout: Rollout) -> bytes:
    """The document, readable for people."""
    fields = _Document(
        FORMAT_VERSION,
        rollout.percent,
        rollout.salt,
        rollout.paused,
        rollout.killed,
        sorted(rollout.allow),
        sorted(rollout.deny),
        rollout.revision,
        rollout.at,
        rollout.by,
    )
    return msgspec.json.format(msgspec.json.encode(fields), indent=2)


def decode_rollout(body: bytes, what: str) -> Rollout:
    """The document, or CorruptObject naming `what` it was read from; UnsupportedVersion for a newer one's."""
    try:
        found = msgspec.json.decode(body, type=_Document)
        if found.format > FORMAT_VERSION:
            raise UnsupportedVersion(f"{what}: format {found.format}, this version reads {FORMAT_VERSION}")
        if not _SALT.match(found.salt):
            raise InvalidRequest(f"salt {found.salt[:80]!r}, expected {_SALT.pattern[:-2]}")
        rollout = Rollout(
            salt=found.salt,
            paused=found.paused,
            killed=found.killed,
            allow=_checked(found.allow),
            deny=_checked(found.deny),
            revision=found.revision,
            at=found.at,
            by=found.by,
        )
        return rollout.with_percent(found.percent)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptObject(f"{what}: {error}") from error
    except InvalidRequest as error:
        raise CorruptObject(f"{what}: {error.message}") from error


def _checked(users: Iterable[str]) -> frozenset[str]:
    return frozenset(check_id(user, "user") for user in users)


def _bounded(rollout: Rollout) -> Rollout:
    count = len(rollout.allow) + len(rollout.deny)
    if count > USERS_MAX:
        raise InvalidRequest(f"{count} users would be named, at most {USERS_MAX} can be: raise the percentage instead")
    return rollout
