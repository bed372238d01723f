"""Records that name media by their storage key: which places of a record hold one, and where each belongs. Pure.

A record is a JSON object, as a line of a file or a row of a table:

    {"user_id": …, "project_id": …, "scene_id": …, "type": …, "storage_key": …}
    {"_id": …, "user_id": …, "project_id": …, "media": {"storageKey": …, "type": …}, "audio": {"storageKey": …}}

The second is a scene with its media inside, its `_id` the scene's. Without user it is `default`'s; without a project
the key stays as it is; without a scene the file is the project's output; without a type the file's ending decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from storage.layout.project import DEFAULT_USER, ROOT, OutputFile, SceneFile, upload_key
from storage.layout.recognize import parse_key

Fields = Mapping[str, Any]
NAMES = ("storage_key", "storageKey")
# Where a record may hold a key -> the type of media that this place implies.
PLACES: dict[tuple[str, ...], str | None] = {(): None, ("media",): None, ("audio",): "audio"}


@dataclass(frozen=True, slots=True)
class MediaKey:
    """One key in a record: `place` leads to it."""

    place: tuple[str, ...]
    key: str


@dataclass(frozen=True, slots=True)
class Switch:
    """The key at a place of record `index` becomes `new` where it is `old`."""

    index: int
    place: tuple[str, ...]
    old: str
    new: str


def media_keys(record: Fields) -> Iterator[MediaKey]:
    """Every storage key in a record."""
    for folder in PLACES:
        holder = _inside(record, folder)
        for name in NAMES:
            key = holder.get(name)
            if isinstance(key, str) and key:
                yield MediaKey((*folder, name), key)


def new_place(record: Fields, medium: MediaKey) -> str:
    """The key in the project layout, or the old one when it is there already or information is missing.

    Raises InvalidKey, UnknownMediaType.
    """
    if medium.key.startswith(ROOT):
        parse_key(medium.key)
        return medium.key
    project = _text(record, "project_id")
    if project is None:
        return medium.key
    folder = medium.place[:-1]
    scene = _text(record, "scene_id") or (_text(record, "_id") if folder else None)
    return upload_key(
        medium.key,
        user_id=_text(record, "user_id") or DEFAULT_USER,
        project_id=project,
        scene_id=scene,
        file_type=_text(_inside(record, folder), "type") or PLACES[folder],
    )


def switched(record: Fields, place: tuple[str, ...], old: str, new: str) -> dict[str, Any]:
    """The record with another key at a place; unchanged where the key is not `old` any more."""
    first, *rest = place
    value = record.get(first)
    if rest:
        inner = switched(value, tuple(rest), old, new) if isinstance(value, Mapping) else value
        return {**record, first: inner}
    return {**record, first: new} if value == old else dict(record)


def is_moved(key: str) -> bool:
    """Whether a key is of the project layout."""
    return key.startswith(ROOT) and isinstance(parse_key(key), SceneFile | OutputFile)


def _inside(record: Fields, folder: tuple[str, ...]) -> Fields:
    value: Any = record
    for name in folder:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _text(record: Fields, name: str) -> str | None:
    value = record.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None
