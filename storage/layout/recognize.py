"""Which layout a key belongs to, and what it names: old and new formats told apart by their first part. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from storage.layout.address import ENVIRONMENTS
from storage.layout.flat import FlatKey, parse_flat
from storage.layout.part import InvalidKey, check_part, check_path
from storage.layout.profiled import ProfiledKey, parse_profiled
from storage.layout.project import ProjectKey, parse_project


class Layout(StrEnum):
    """Newest first."""

    PROFILED = "profiled"
    PROJECT = "project"
    FLAT = "flat"
    BARE = "bare"


@dataclass(frozen=True, slots=True)
class BareFile:
    """A file's name alone, as uploads without user or project were kept."""

    key: str

    def __post_init__(self) -> None:
        check_part(self.key, "file")


ParsedKey = ProfiledKey | ProjectKey | FlatKey | BareFile


def layout_of(key: str) -> Layout:
    """The layout by the key's first part; the rest may still be wrong for it. Raises InvalidKey for what is no key."""
    first, slash, _ = check_path(key, "key").partition("/")
    if not slash:
        return Layout.BARE
    if first in ENVIRONMENTS:
        return Layout.PROFILED
    return Layout.PROJECT if first == "users" else Layout.FLAT


def parse_key(key: str) -> ParsedKey:
    """What the key names; its `.key` is the key again. Raises InvalidKey, InvalidId."""
    layout = layout_of(key)
    if layout is Layout.PROFILED:
        return parse_profiled(key)
    if layout is Layout.PROJECT:
        return parse_project(key)
    return parse_flat(key) if layout is Layout.FLAT else BareFile(key)


def is_old(key: str) -> bool:
    """Whether the key is of a layout before the profiled one; also for keys that `parse_key` refuses."""
    try:
        return layout_of(key) is not Layout.PROFILED
    except InvalidKey:
        return False
