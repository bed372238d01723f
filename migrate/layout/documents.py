"""A user's profiles at the end of a move: which profile takes the flat files, and the documents that make it known.

profiles.json is what makes the new place reachable, so it comes last, and only where nothing is. Whoever created one
first (the service, say, for a user who called early) has chosen the default profile; the move adopts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from migrate.layout.errors import LayoutConflict
from migrate.layout.record_store import Parts
from storage.errors import ObjectNotFound, Unavailable
from storage.layout.flat import EarlyProfileFile, parse_flat
from storage.layout.keys import profiles_key, selected_profile_key
from storage.layout.profile_documents import (
    ProfilesDocument,
    decode_document,
    decode_selection,
    encode_document,
    encode_selection,
    first_document,
)
from storage.layout.relocation import PROFILES, SELECTION
from storage.objects.port import ObjectInfo, ObjectStore
from storage.objects.settle import Settled

PROFILE_ID_BYTES = 4
ATTEMPTS_MAX = 10


@dataclass(frozen=True, slots=True)
class OldDocuments:
    """What a user's old place says of profiles; both may be missing."""

    profiles: ProfilesDocument | None
    selected: str | None


def early_profiles(sources: Iterable[ObjectInfo]) -> list[str]:
    """Profiles that have files in the old place, sorted."""
    parsed = (parse_flat(info.key) for info in sources)
    return sorted({old.profile for old in parsed if isinstance(old, EarlyProfileFile)})


@dataclass(frozen=True, slots=True)
class OldPlace:
    """What decides about profiles: the documents there, profiles with files, whether a database belongs to none."""

    documents: OldDocuments
    early: Sequence[str]
    flat_database: bool


def choose_default(*, current: ProfilesDocument | None, old: OldPlace, hint: str | None, new: str) -> str:
    """The profile that takes the flat files: the one already known as default, else the only candidates there are."""
    if current is not None:
        return current.default
    if hint is not None:
        return hint
    if old.documents.profiles is not None:
        return old.documents.profiles.default
    return old.early[0] if old.early and not old.flat_database else new


def check_default(default: str, old: OldPlace) -> None:
    """Raise LayoutConflict when the default that the service chose is none of those the old place has data for."""
    known = old.documents.profiles.ids if old.documents.profiles is not None else frozenset(old.early)
    if known and default not in known and not old.flat_database:
        raise LayoutConflict(
            f"profiles.json names {default!r} as default, the old place has {', '.join(sorted(known))}"
        )


def wanted_document(default: str, place: OldPlace) -> ProfilesDocument:
    """profiles.json as the move would create it."""
    old = place.documents.profiles
    document = old if old is not None and old.default == default else first_document(default)
    return document.including([*place.early, *(old.ids if old else ())])


async def read_profiles(store: ObjectStore, env: str, user: str) -> ProfilesDocument | None:
    """The user's profiles.json in the new place."""
    return await _document(store, profiles_key(env, user))


async def read_old(store: ObjectStore, user: str) -> OldDocuments:
    """What the old place says. Raises CorruptObject when it cannot be read."""
    key = f"{user}/{SELECTION}"
    try:
        selected = decode_selection((await store.get(key)).body, key)
    except ObjectNotFound:
        selected = None
    return OldDocuments(await _document(store, f"{user}/{PROFILES}"), selected)


async def publish(parts: Parts, user: str, wanted: ProfilesDocument, selected: str | None) -> ProfilesDocument:
    """Create both documents where they are missing; profiles.json as it then is, whoever wrote it."""
    document = await _publish_profiles(parts, user, wanted)
    if document.default == wanted.default:
        chosen = selected if selected in document.ids else document.default
        await parts.put(
            selected_profile_key(parts.env, user), encode_selection(chosen or document.default), if_none_match="*"
        )
    return document


async def _publish_profiles(parts: Parts, user: str, wanted: ProfilesDocument) -> ProfilesDocument:
    key = profiles_key(parts.env, user)
    for _ in range(ATTEMPTS_MAX):
        try:
            stored = await parts.store.get(key)
        except ObjectNotFound:
            if isinstance(await parts.put(key, encode_document(wanted), if_none_match="*"), Settled):
                return wanted
            continue
        found = decode_document(stored.body, key)
        added = found.including(wanted.ids)
        if found.default != wanted.default or added is found:
            return found
        if isinstance(await parts.put(key, encode_document(added), if_match=stored.info.etag), Settled):
            return added
    raise Unavailable(f"{key}: changed {ATTEMPTS_MAX} times meanwhile", retry_after_s=1)


async def _document(store: ObjectStore, key: str) -> ProfilesDocument | None:
    try:
        return decode_document((await store.get(key)).body, key)
    except ObjectNotFound:
        return None
