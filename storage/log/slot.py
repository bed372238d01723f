"""Names of segments as a listing shows them, and whether a run of slots has a gap. Pure.

A segment of slots 5 to 9 at level 1 is `0001/0000000000000005-0000000000000009.ltx` below the log's prefix. Our own are
slots, `0000/{n}-{n}`, and snapshots, `0009/1-{n}`; every other name is foreign: reported, never read. Two writers
collide on a slot because its name holds nothing but the slot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from storage.layout.keys import SNAPSHOT_LEVEL

SLOT_LEVEL = 0

_FILE_NAME = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.ltx\Z")
_LEVEL = re.compile(r"([0-9a-f]{4})/")


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """Which slots an object holds, and at which level."""

    level: int
    first: int
    last: int

    @property
    def path(self) -> str:
        """Key below the log's prefix."""
        return f"{self.level:04x}/{self.first:016x}-{self.last:016x}.ltx"


@dataclass(frozen=True, slots=True)
class ForeignName:
    """A name below the log's prefix that no segment of ours has, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Contiguous:
    """Every slot above `after` up to `last` is there; `last` == `after` when there is none."""

    after: int
    last: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Slot `missing` is not there, although slot `found` is."""

    missing: int
    found: int

    def __str__(self) -> str:
        return f"slot {self.missing} is missing, slot {self.found} exists"


def slot_name(slot: int) -> SegmentName:
    return SegmentName(SLOT_LEVEL, slot, slot)


def snapshot_name(slot: int) -> SegmentName:
    return SegmentName(SNAPSHOT_LEVEL, 1, slot)


def parse_segment_key(file_name: str) -> tuple[int, int] | None:
    """(first, last) of a key's part below its level's prefix; None for a foreign name."""
    match = _FILE_NAME.match(file_name)
    if match is None:
        return None
    first, last = int(match[1], 16), int(match[2], 16)
    return (first, last) if 1 <= first <= last else None


def parse_segment_path(path: str) -> SegmentName | ForeignName:
    """The segment at `path`, a key's part below the log's prefix, or what keeps it from being one of ours."""
    level_match = _LEVEL.match(path)
    slots = parse_segment_key(path[level_match.end() :]) if level_match else None
    if level_match is None or slots is None:
        return ForeignName(path, "not the name of a segment")
    name = SegmentName(int(level_match[1], 16), *slots)
    if name.level == SLOT_LEVEL and name.first != name.last:
        return ForeignName(path, "a range at level 0, where each object is one slot")
    if name.level == SNAPSHOT_LEVEL and name.first != 1:
        return ForeignName(path, f"a snapshot from slot {name.first}, where each begins at 1")
    if name.level not in (SLOT_LEVEL, SNAPSHOT_LEVEL):
        return ForeignName(path, f"level {name.level}, where no segment of ours lies")
    return name


def check_contiguous(slots: Iterable[int], after: int) -> Contiguous | Gap:
    """Whether the ascending `slots` run on from `after` without a gap. Slots up to `after` do not count."""
    last = after
    for slot in slots:
        if slot <= after:
            continue
        if slot != last + 1:
            return Gap(last + 1, slot)
        last = slot
    return Contiguous(after, last)
