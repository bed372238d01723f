"""Delete everything below a prefix, and say what came of it: counts, bytes, the first errors, one log line each at the
start and at the end.

Lists a page, deletes it, lists the next; an object that cannot be deleted stops no other. A dry run counts alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from storage.cleaning.kept import is_kept
from storage.errors import HoldfastError
from storage.layout.directory import directory_prefix
from storage.layout.project import DEFAULT_USER, project_prefix, scene_prefix
from storage.objects.port import ObjectInfo, ObjectStore

DELETES_AT_ONCE = 16
ERRORS_MAX = 5

log = logging.getLogger(__name__)


@dataclass(slots=True)
class DeletionReport:
    """`kept` objects are never deleted by directory (storage/cleaning/kept.py)."""

    prefix: str
    deleted_count: int = 0
    failed_count: int = 0
    kept_count: int = 0
    total_bytes: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return self.failed_count == 0


async def delete_directory(store: ObjectStore, directory: str, *, execute: bool = True) -> DeletionReport:
    """Delete a folder, with or without its `/`; never its neighbours. Raises InvalidKey for the bucket's root."""
    return await _delete(store, directory_prefix(directory), is_kept, execute=execute)


async def delete_project_files(
    store: ObjectStore, project: str, user: str = DEFAULT_USER, *, execute: bool = True
) -> DeletionReport:
    """Delete everything of one project. Raises InvalidKey."""
    return await _delete(store, project_prefix(user, project), is_kept, execute=execute)


async def delete_scene_files(
    store: ObjectStore, project: str, scene: str, user: str = DEFAULT_USER, *, execute: bool = True
) -> DeletionReport:
    """Delete everything of one scene. Raises InvalidKey."""
    return await _delete(store, scene_prefix(user, project, scene), is_kept, execute=execute)


async def clear_bucket(store: ObjectStore, *, execute: bool = True) -> DeletionReport:
    """Delete every object there is, databases and logs too."""
    return await _delete(store, "", lambda key: False, execute=execute)


async def _delete(store: ObjectStore, prefix: str, keeps: Callable[[str], bool], *, execute: bool) -> DeletionReport:
    """Errors of a listing are raised after the line about what was done until then."""
    report = DeletionReport(prefix)
    if execute:
        log.info("cleaning started", extra={"prefix": prefix})
    try:
        await _delete_pages(store, report, keeps, execute=execute)
    except Exception as error:
        log.error("cleaning failed", extra={**_counts(report), "error": str(error)})
        raise
    if not execute:
        return report
    if report.complete:
        log.info("cleaning succeeded", extra=_counts(report))
    else:
        log.warning("cleaning partial", extra={**_counts(report), "errors": list(report.errors)})
    return report


async def _delete_pages(
    store: ObjectStore, report: DeletionReport, keeps: Callable[[str], bool], *, execute: bool
) -> None:
    start_after = ""
    while True:
        page = await store.list(report.prefix, start_after=start_after)
        chosen = [info for info in page.objects if not keeps(info.key)]
        report.kept_count += len(page.objects) - len(chosen)
        for start in range(0, len(chosen), DELETES_AT_ONCE):
            batch = chosen[start : start + DELETES_AT_ONCE]
            ends = await asyncio.gather(*(_delete_one(store, info, execute=execute) for info in batch))
            for info, error in zip(batch, ends, strict=True):
                _count(report, info, error)
        if page.next_start_after is None:
            return
        start_after = page.next_start_after


async def _delete_one(store: ObjectStore, info: ObjectInfo, *, execute: bool) -> HoldfastError | None:
    try:
        if execute:
            await store.delete(info.key)
    except HoldfastError as error:
        return error
    return None


def _count(report: DeletionReport, info: ObjectInfo, error: HoldfastError | None) -> None:
    if error is None:
        report.deleted_count += 1
        report.total_bytes += info.size
        return
    report.failed_count += 1
    if len(report.errors) < ERRORS_MAX:
        report.errors.append(f"{info.key}: {error.message}")


def _counts(report: DeletionReport) -> dict[str, object]:
    return {
        "prefix": report.prefix,
        "deleted_count": report.deleted_count,
        "failed_count": report.failed_count,
        "kept_count": report.kept_count,
        "total_bytes": report.total_bytes,
    }
