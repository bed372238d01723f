"""Prefixes for deletion: always whole folders. Pure.

A prefix that does not end in `/` also names its neighbours (`p1` reaches `p10`), so none is ever handed out.
"""

from __future__ import annotations

from storage.layout.part import InvalidKey, check_path


def directory_prefix(text: str) -> str:
    """The folder that `text` names, with its one `/` at the end. The root of the bucket is refused."""
    folder = text.removesuffix("/")
    if not folder:
        raise InvalidKey("directory '': the whole bucket is no directory")
    return check_path(folder, "directory") + "/"
