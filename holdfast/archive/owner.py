"""Whose log is meant: a user's profile, found in the bucket without a running service."""

from __future__ import annotations

import json

from storage.errors import CorruptObject, InvalidRequest, ObjectNotFound
from storage.layout.address import Address, check_id
from storage.layout.keys import profiles_key, selected_profile_key
from storage.objects.port import ObjectStore


async def find_address(store: ObjectStore, env: str, user: str, profile: str | None) -> Address:
    """The address of the given profile, else of the selected one, else of the default one.

    Raises InvalidRequest for a user who has no profiles here.
    """
    check_id(user, "user")
    if profile is not None:
        return Address.parse(user, profile)
    selected = await _read_text(store, selected_profile_key(env, user), "profileId")
    if selected is None:
        selected = await _read_text(store, profiles_key(env, user), "default")
    if selected is None:
        raise InvalidRequest(f"user {user!r}: no profiles in environment {env}")
    return Address.parse(user, selected)


async def _read_text(store: ObjectStore, key: str, name: str) -> str | None:
    try:
        body = (await store.get(key)).body
    except ObjectNotFound:
        return None
    try:
        value = json.loads(body)[name]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptObject(f"{key}: no {name} in it") from error
    return str(value)
