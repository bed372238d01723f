"""A log copied out of the object store into Litestream's file layout, so that `litestream restore file://DIR` reads it.

Every segment is verified on its way: MD5, format, and its own name against its content. A gap or a corrupt segment
stops the export with the error that says where. Files carry their segment's timestamp as modification time, which
Litestream's file client goes by for restores to a time. Foreign names below the log (the hint, orphans) stay behind.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.errors import CorruptSegment, InvalidRequest, LogGap
from storage.layout.keys import SNAPSHOT_LEVEL
from storage.log.litestream import file_layout_path
from storage.log.segment import decode_segment, verify_body
from storage.log.slot import SLOT_LEVEL, ForeignName, Gap, SegmentName, check_contiguous, parse_segment_path
from storage.objects.port import ObjectStore

EXPORT_PARALLEL_MAX = 16
LIST_PAGE_KEYS = 1000


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote. `last` is the newest slot in it."""

    snapshots: int
    slots: int
    last: int
    bytes: int


async def export_log(
    store: ObjectStore, prefix: str, directory: Path, *, on_segment: Callable[[SegmentName], None] | None = None
) -> ExportReport:
    """Write the log below `prefix` (ends in `/`) to `directory`/ltx/LEVEL/. `on_segment` is called after each file.

    Raises `InvalidRequest` when `directory` holds an `ltx` folder with something in it, or there is no log;
    `LogGap`, `CorruptSegment`, `UnsupportedVersion` for what is wrong with the log, and the store's errors.
    """
    target = directory / "ltx"
    if await asyncio.to_thread(_occupied, target):
        raise InvalidRequest(f"export to {directory}: {target} exists and is not empty")
    names = await list_segments(store, prefix)
    _check_complete(names, prefix)
    written = 0
    for start in range(0, len(names), EXPORT_PARALLEL_MAX):
        batch = names[start : start + EXPORT_PARALLEL_MAX]
        written += await _copy_all(store, prefix, batch, directory)
        if on_segment is not None:
            for name in batch:
                on_segment(name)
    snapshots = sum(1 for name in names if name.level == SNAPSHOT_LEVEL)
    return ExportReport(snapshots, len(names) - snapshots, max(name.last for name in names), written)


async def list_segments(store: ObjectStore, prefix: str) -> list[SegmentName]:
    """Names of every segment of ours below `prefix`, slots first, ascending."""
    names: list[SegmentName] = []
    start_after = ""
    while True:
        page = await store.list(prefix, start_after=start_after, limit=LIST_PAGE_KEYS)
        parsed = (parse_segment_path(info.key.removeprefix(prefix)) for info in page.objects)
        names += [name for name in parsed if not isinstance(name, ForeignName)]
        if page.next_start_after is None:
            return sorted(names)
        start_after = page.next_start_after


def _check_complete(names: Sequence[SegmentName], prefix: str) -> None:
    slots = [name.last for name in names if name.level == SLOT_LEVEL]
    newest_snapshot = max((name.last for name in names if name.level == SNAPSHOT_LEVEL), default=0)
    if not names:
        raise InvalidRequest(f"export of {prefix}: there is no log")
    if not slots:
        return
    run = check_contiguous(slots, slots[0] - 1 if slots[0] <= newest_snapshot else newest_snapshot)
    if isinstance(run, Gap):
        raise LogGap(f"export of {prefix}: {run}")


async def _copy_all(store: ObjectStore, prefix: str, names: Sequence[SegmentName], directory: Path) -> int:
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_copy(store, prefix, name, directory)) for name in names]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return sum(task.result() for task in tasks)


async def _copy(store: ObjectStore, prefix: str, name: SegmentName, directory: Path) -> int:
    key = prefix + name.path
    found = await store.get(key)
    verify_body(found.body, found.info.etag, name=key)
    segment = decode_segment(found.body, name=key)
    if (segment.first, segment.last) != (name.first, name.last):
        raise CorruptSegment(f"{key}: holds slots {segment.first} to {segment.last}")
    path = directory / file_layout_path(name.level, name.first, name.last)
    await asyncio.to_thread(_write, path, found.body, segment.timestamp_ms)
    return len(found.body)


def _occupied(folder: Path) -> bool:
    return folder.exists() and any(folder.iterdir())


def _write(path: Path, body: bytes, timestamp_ms: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(body)
    os.utime(partial, ns=(timestamp_ms * 1_000_000, timestamp_ms * 1_000_000))
    partial.replace(path)
