"""What may stand between the slashes of a key, whatever its layout: file names, never a step up or nothing. Pure."""

from __future__ import annotations

from storage.errors import InvalidRequest
from storage.objects.key import key_problem


class InvalidKey(InvalidRequest):
    """A key, or a piece of one, that no layout has."""

    code = "invalid_key"


def check_part(text: str, what: str) -> str:
    """`text` if it may be one part of a key, else `InvalidKey` naming `what` it was meant to be."""
    if "/" in text:
        raise InvalidKey(f"{what} {text[:140]!r}: has a slash, expected one part of a key")
    return check_path(text, what)


def check_path(text: str, what: str = "path") -> str:
    """`text` if it may be several parts of a key, none of them empty, `.` or `..`, else `InvalidKey`."""
    if problem := key_problem(text):
        raise InvalidKey(f"{what} {text[:140]!r}: {problem}")
    return text
