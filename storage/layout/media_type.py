"""Kinds of media, told by a table of file endings. Pure."""

from __future__ import annotations

from storage.layout.part import InvalidKey

ENDINGS = {
    "audio": ("aac", "flac", "m4a", "mp3", "oga", "ogg", "opus", "wav"),
    "image": ("avif", "bmp", "gif", "heic", "jpeg", "jpg", "png", "tiff", "webp"),
    "video": ("avi", "m4v", "mkv", "mov", "mp4", "mpeg", "webm"),
}
MEDIA_TYPES = tuple(ENDINGS)
_BY_ENDING = {ending: kind for kind, endings in ENDINGS.items() for ending in endings}


class UnknownMediaType(InvalidKey):
    """Neither audio nor image nor video."""

    code = "unknown_media_type"


def check_media_type(text: str) -> str:
    """`text` if it is a kind of media, else `UnknownMediaType`."""
    if text not in ENDINGS:
        raise UnknownMediaType(f"media type {text[:140]!r}: expected one of {', '.join(MEDIA_TYPES)}")
    return text


def media_type_of(filename: str) -> str:
    """The kind of a file by its ending, in any case of letters. Raises UnknownMediaType."""
    _, dot, ending = filename.rpartition(".")
    kind = _BY_ENDING.get(ending.lower()) if dot else None
    if kind is None:
        raise UnknownMediaType(f"file {filename[:140]!r}: its ending is in no table of media types")
    return kind
