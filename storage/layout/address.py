"""Ids and addresses: whose database. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from storage.errors import InvalidRequest

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}\Z")
RESERVED_IDS = frozenset({"dev", "staging", "prod", "users", "games", "flags", "shared", "me"})
ENVIRONMENTS = ("dev", "staging", "prod")


class InvalidId(InvalidRequest):
    """A user or profile id that no address may carry."""

    code = "invalid_id"


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A profile of a user. Construct with `Address.parse`, which refuses invalid ids."""

    user: str
    profile: str

    @classmethod
    def parse(cls, user: str, profile: str) -> Address:
        """Both ids checked, or `InvalidId`."""
        return cls(check_id(user, "user"), check_id(profile, "profile"))

    def __str__(self) -> str:
        return f"{self.user}/{self.profile}"


def check_id(text: str, what: str) -> str:
    """`text` if it may be a user or profile id, else `InvalidId` naming `what` it was meant to be."""
    if not ID_PATTERN.match(text):
        raise InvalidId(f"{what} id {text[:140]!r}: expected {ID_PATTERN.pattern[:-2]}")
    if text in RESERVED_IDS:
        raise InvalidId(f"{what} id {text!r} is reserved")
    return text
