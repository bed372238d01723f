"""profiles.json and selected-profile.json as the layouts know them: who is the default, which exist. Pure.

Enough to create both when a user moves, and to add profiles to what is there. Everything else about them (names,
limits, selection) belongs to the gateway; unknown fields survive here too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from storage.errors import CorruptObject, InvalidRequest
from storage.layout.address import check_id


class ProfilesDocument(msgspec.Struct, frozen=True):
    """profiles.json; `fields` is the whole document."""

    fields: dict[str, Any]

    @property
    def default(self) -> str:
        default: str = self.fields["default"]
        return default

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self.fields["profiles"])

    def including(self, ids: Iterable[str]) -> ProfilesDocument:
        """With nameless profiles for those of `ids` that are not in it."""
        added = {profile: {"name": None} for profile in sorted(ids) if profile not in self.ids}
        return ProfilesDocument({**self.fields, "profiles": {**self.fields["profiles"], **added}}) if added else self


def first_document(default: str) -> ProfilesDocument:
    """The document of a user with one nameless profile."""
    return ProfilesDocument({"default": default, "profiles": {default: {"name": None}}})


def encode_document(document: ProfilesDocument) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document.fields), indent=2)


def decode_document(body: bytes, what: str) -> ProfilesDocument:
    """The document, or CorruptObject naming `what` it was read from."""
    fields = _fields(body, what)
    profiles = fields.get("profiles")
    if not isinstance(profiles, dict) or not profiles or fields.get("default") not in profiles:
        raise CorruptObject(f"{what}: expected `profiles` by id, and `default` to be one of them")
    try:
        for profile in profiles:
            check_id(profile, "profile")
    except InvalidRequest as error:
        raise CorruptObject(f"{what}: {error.message}") from error
    return ProfilesDocument(fields)


def encode_selection(profile: str) -> bytes:
    return msgspec.json.format(msgspec.json.encode({"profileId": profile}), indent=2)


def decode_selection(body: bytes, what: str) -> str:
    """The selected profile's id, or CorruptObject naming `what` it was read from."""
    profile = _fields(body, what).get("profileId")
    if not isinstance(profile, str):
        raise CorruptObject(f"{what}: expected `profileId` to be text")
    return profile


def _fields(body: bytes, what: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise CorruptObject(f"{what}: not a JSON object: {error}") from error
