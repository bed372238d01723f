"""`holdfast bucket clear|delete`: delete everything, or one directory, project or scene.

`delete` counts and writes nothing without --execute, and never takes databases, logs or the service's own documents.
`clear` takes everything and asks for the bucket's name first (the data directory's name for a local store); a service
that runs on that data directory stops it.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable

from holdfast.archive.bucket import opened_store
from holdfast.console import Console, add_store_arguments, flags_given
from holdfast.data_lock import DataLock
from holdfast.exit_code import ExitCode
from holdfast.progress import format_bytes
from holdfast.settings import Settings
from storage.cleaning.deletion import (
    DeletionReport,
    clear_bucket,
    delete_directory,
    delete_project_files,
    delete_scene_files,
)
from storage.errors import InvalidRequest
from storage.layout.project import DEFAULT_USER
from storage.objects.port import ObjectStore

HELP = "delete objects: everything, or one directory, project or scene"
Deletion = Callable[[ObjectStore, bool], Awaitable[DeletionReport]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    clearing = actions.add_parser("clear", help="delete every object; asks for the bucket's name")
    clearing.add_argument("--confirm", metavar="NAME", help="the bucket's name, instead of being asked for it")
    add_store_arguments(clearing)
    deleting = actions.add_parser("delete", help="delete a directory, a project or a scene")
    deleting.add_argument("directory", nargs="?", help="a folder of the bucket, such as ana/clip_cache")
    deleting.add_argument("--project", help="a project of the project layout")
    deleting.add_argument("--scene", help="a scene of --project")
    deleting.add_argument("--user", default=DEFAULT_USER, help="whose project (default: %(default)s)")
    deleting.add_argument("--execute", action="store_true", help="do it; without this nothing is deleted")
    add_store_arguments(deleting)


def run(console: Console, arguments: argparse.Namespace) -> int:
    settings = console.settings(flags_given(arguments))
    if arguments.action == "delete":
        return asyncio.run(_run(console, settings, _deletion(arguments), execute=arguments.execute))
    name = settings.s3.bucket or settings.service.data_dir.resolve().name
    console.note(f"this deletes every object in {name}, databases and logs too; there is no way back")
    typed = arguments.confirm if arguments.confirm is not None else console.ask(f"type {name} to go on: ")
    if typed.strip() != name:
        raise InvalidRequest(f"not cleared: expected the name {name!r}")
    if settings.s3.bucket or not settings.service.data_dir.is_dir():
        return asyncio.run(_run(console, settings, _clear, execute=True))
    lock = DataLock(settings.service.local_dir)
    try:
        return asyncio.run(_run(console, settings, _clear, execute=True))
    finally:
        lock.release()


async def _clear(store: ObjectStore, execute: bool) -> DeletionReport:
    return await clear_bucket(store, execute=execute)


def _deletion(arguments: argparse.Namespace) -> Deletion:
    if (arguments.directory is None) == (arguments.project is None):
        raise InvalidRequest("expected a directory, or --project with or without --scene")
    if arguments.scene is not None and arguments.project is None:
        raise InvalidRequest("--scene needs its --project")

    async def delete(store: ObjectStore, execute: bool) -> DeletionReport:
        if arguments.project is None:
            return await delete_directory(store, arguments.directory, execute=execute)
        if arguments.scene is None:
            return await delete_project_files(store, arguments.project, arguments.user, execute=execute)
        return await delete_scene_files(store, arguments.project, arguments.scene, arguments.user, execute=execute)

    return delete


async def _run(console: Console, settings: Settings, deletion: Deletion, *, execute: bool) -> int:
    async with opened_store(settings) as store:
        report = await deletion(store, execute)
    console.print(f"{report.prefix or 'everything'}:")
    console.print(f"  {'deleted' if execute else 'to delete'}: {report.deleted_count} objects")
    console.print(f"  failed: {report.failed_count} objects")
    console.print(f"  bytes {'removed' if execute else 'to remove'}: {format_bytes(report.total_bytes)}")
    if report.kept_count:
        console.print(f"  kept: {report.kept_count} objects (databases, logs, documents)")
    for error in report.errors:
        console.note(error)
    if not execute:
        console.note("nothing was deleted: --execute does it")
    return ExitCode.DONE if report.complete else ExitCode.FAILED
