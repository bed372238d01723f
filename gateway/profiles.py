"""The two documents about a user's profiles, as values and changes of values. Pure.

    profiles.json           {"default": ID, "profiles": {ID: {"name": null | TEXT, …}, …}, …}
    selected-profile.json   {"profileId": ID, …}

`default` is set once, when the user is first seen, and never changes. `name` is null until somebody names the
profile. Fields that this version does not know survive every change, at every level.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.errors import DefaultProfile, ProfileNotFound, TooManyProfiles
from storage.errors import CorruptObject, InvalidRequest
from storage.layout.address import check_id

PROFILE_ID_BYTES = 4
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Profiles:
    """profiles.json of one user. `fields` is the whole document and is not to be changed in place."""

    fields: Mapping[str, Any]

    @property
    def default(self) -> str:
        default: str = self.fields["default"]
        return default

    @property
    def by_id(self) -> Mapping[str, Mapping[str, Any]]:
        by_id: Mapping[str, Mapping[str, Any]] = self.fields["profiles"]
        return by_id

    def __contains__(self, profile: str) -> bool:
        return profile in self.by_id

    def entry(self, profile: str) -> Mapping[str, Any]:
        """What is known of a profile, or ProfileNotFound."""
        try:
            return self.by_id[profile]
        except KeyError:
            raise ProfileNotFound(f"no profile {profile!r}") from None

    def add(self, profile: str, name: str | None, *, profiles_max: int) -> Profiles:
        """With one more. Raises TooManyProfiles."""
        if len(self.by_id) >= profiles_max:
            raise TooManyProfiles(f"the user has {len(self.by_id)} profiles, at most {profiles_max} are allowed")
        return self._with({**self.by_id, profile: {"name": name}})

    def rename(self, profile: str, name: str) -> Profiles:
        """With another name for a profile. Raises ProfileNotFound."""
        return self._with({**self.by_id, profile: {**self.entry(profile), "name": name}})

    def remove(self, profile: str) -> Profiles:
        """Without a profile. Raises ProfileNotFound, DefaultProfile."""
        self.entry(profile)
        if profile == self.default:
            raise DefaultProfile(f"profile {profile!r} is the user's default: delete the user to delete it")
        return self._with({key: value for key, value in self.by_id.items() if key != profile})

    def _with(self, by_id: Mapping[str, Mapping[str, Any]]) -> Profiles:
        return Profiles({**self.fields, "profiles": by_id})


def first_profiles(profile: str) -> Profiles:
    """The document of a user seen for the first time."""
    return Profiles({"default": profile, "profiles": {profile: {"name": None}}})


def new_profile_id(random: bytes) -> str:
    """8 lower-case hex digits from `PROFILE_ID_BYTES` random bytes."""
    return random[:PROFILE_ID_BYTES].hex()


def check_name(name: str, *, length_max: int) -> str:
    """`name` without surrounding space, if it may name a profile, else InvalidRequest."""
    name = name.strip()
    if not name or len(name) > length_max or _UNPRINTABLE.search(name):
        raise InvalidRequest(f"profile name: expected 1 to {length_max} printable characters, found {len(name)}")
    return name


def encode_profiles(profiles: Profiles) -> bytes:
    return _encode(profiles.fields)


def decode_profiles(body: bytes, what: str) -> Profiles:
    """The document, or CorruptObject naming `what` it was read from."""
    fields = _decode(body, what)
    by_id = fields.get("profiles")
    if not isinstance(by_id, dict) or not all(isinstance(entry, dict) for entry in by_id.values()):
        raise CorruptObject(f"{what}: expected `profiles` to map ids to objects")
    for entry in by_id.values():
        if not isinstance(entry.get("name"), str | None):
            raise CorruptObject(f"{what}: expected every `name` to be text or null")
    if fields.get("default") not in by_id:
        raise CorruptObject(f"{what}: expected `default` to be one of `profiles`")
    try:
        for profile in by_id:
            check_id(profile, "profile")
    except InvalidRequest as error:
        raise CorruptObject(f"{what}: {error.message}") from error
    return Profiles(fields)


def encode_selection(fields: Mapping[str, Any], profile: str) -> bytes:
    """selected-profile.json; `fields` are those of the document it replaces."""
    return _encode({**fields, "profileId": profile})


def decode_selection(body: bytes, what: str) -> tuple[str, Mapping[str, Any]]:
    """The selected profile and the whole document, or CorruptObject naming `what` it was read from."""
    fields = _decode(body, what)
    profile = fields.get("profileId")
    if not isinstance(profile, str):
        raise CorruptObject(f"{what}: expected `profileId` to be text")
    return profile, fields


def _encode(fields: Mapping[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(fields), indent=2)


def _decode(body: bytes, what: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise CorruptObject(f"{what}: not a JSON object: {error}") from error
