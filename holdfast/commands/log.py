"""`holdfast log …`: list, verify, restore and export a user's log straight from the object store.

Reads only, and needs no running service. A running one is not disturbed: slots are never changed.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from holdfast.archive.bucket import log_of, opened_store
from holdfast.archive.database_file import write_database
from holdfast.archive.orphans import orphans_of, orphans_of_everybody
from holdfast.archive.owner import find_address
from holdfast.archive.restoration import parse_target, restore
from holdfast.archive.timeline import newest_moments
from holdfast.archive.verification import verify_log
from holdfast.console import Console, add_progress_argument, add_store_arguments, flags_given
from holdfast.exit_code import ExitCode
from holdfast.progress import format_bytes
from holdfast.settings import Settings
from holdfast.table import format_table
from storage.errors import InvalidRequest
from storage.layout.keys import log_prefix
from storage.log.actor_log import ActorLog
from storage.log.export import export_log
from storage.objects.key import KEY_BYTES_MAX
from storage.objects.port import ObjectStore

HELP = "read a user's log in the object store, with or without a service"
LIST_COUNT_DEFAULT = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = _action(actions, "list", "the newest slots: what, when, how large")
    listing.add_argument("--count", type=int, default=LIST_COUNT_DEFAULT, help="how many (default: %(default)s)")
    _action(actions, "verify", "read everything and check it")
    restoring = _action(actions, "restore", "write the database as it was")
    restoring.add_argument("--at", metavar="BOOKMARK|TIME", help="a bookmark, or a time (ISO 8601; default: now)")
    restoring.add_argument("-o", "--output", type=Path, required=True, help="the file to write")
    restoring.add_argument("--force", action="store_true", help="replace an existing file")
    restoring.add_argument("--raw", action="store_true", help="keep Holdfast's own tables")
    exporting = _action(actions, "export", "copy the log in Litestream's file layout")
    exporting.add_argument("directory", type=Path)
    orphans = actions.add_parser("orphans", help="journals that a takeover cut off")
    orphans.add_argument("user", nargs="?", help="one user (default: everybody)")
    orphans.add_argument("--profile")
    add_store_arguments(orphans)


def run(console: Console, arguments: argparse.Namespace) -> int:
    settings = console.settings(flags_given(arguments))
    return asyncio.run(_run(console, arguments, settings))


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text)
    parser.add_argument("user")
    parser.add_argument("--profile", help="profile id (default: the selected profile)")
    add_store_arguments(parser)
    add_progress_argument(parser)
    return parser


async def _run(console: Console, arguments: argparse.Namespace, settings: Settings) -> int:
    async with opened_store(settings) as store:
        if arguments.action == "orphans":
            return await _orphans(console, arguments, settings, store)
        address = await find_address(store, settings.app_env, arguments.user, arguments.profile)
        return await ACTIONS[arguments.action](console, arguments, log_of(store, settings.app_env, address))


async def _list(console: Console, arguments: argparse.Namespace, log: ActorLog) -> int:
    rows = [
        (
            moment.slot,
            moment.record.kind.value,
            moment.record.epoch,
            "{}-{}".format(*moment.record.commits) if moment.record.commits else "",
            format_bytes(moment.size),
            _time(moment.written_at),
            moment.record.machine_id[:12],
        )
        async for moment in newest_moments(log, count=max(1, arguments.count))
    ]
    console.print(format_table(("slot", "kind", "epoch", "commits", "size", "written", "machine"), rows))
    return ExitCode.DONE


async def _verify(console: Console, arguments: argparse.Namespace, log: ActorLog) -> int:
    with console.progress(f"verify {log.address}", arguments) as progress:
        report = await verify_log(log, advance=progress.advance)
    for complaint in report.complaints:
        console.note(complaint)
    state = report.state
    console.print(
        f"{log.address}: {report.slots} slots, {report.snapshots} snapshots, {format_bytes(report.bytes)} read; "
        f"epoch {state.epoch_max}, commit {state.last_commit}, slot {state.last_slot}: "
        + ("sound" if report.sound else f"{len(report.complaints)} faults")
    )
    return ExitCode.DONE if report.sound else ExitCode.DAMAGED


async def _restore(console: Console, arguments: argparse.Namespace, log: ActorLog) -> int:
    if arguments.output.exists() and not arguments.force:
        raise InvalidRequest(f"{arguments.output} exists; --force replaces it")
    with console.progress(f"restore {log.address}", arguments) as progress:
        image = await restore(log, parse_target(arguments.at), advance=progress.advance)
    size = write_database(image, arguments.output, raw=arguments.raw)
    console.print(f"{arguments.output}: {format_bytes(size)}, as at the end of slot {image.slot}")
    return ExitCode.DONE


async def _export(console: Console, arguments: argparse.Namespace, log: ActorLog) -> int:
    with console.progress(f"export log of {log.address}", arguments) as progress:
        report = await export_log(log.store, log_prefix(log.env, log.address), arguments.directory)
        progress.advance(report.bytes)
    console.print(
        f"{arguments.directory}: {report.slots} slots and {report.snapshots} snapshots, {format_bytes(report.bytes)}"
    )
    return ExitCode.DONE


async def _orphans(console: Console, arguments: argparse.Namespace, settings: Settings, store: ObjectStore) -> int:
    if arguments.user is None:
        found = [info async for info in orphans_of_everybody(store, settings.app_env)]
    else:
        address = await find_address(store, settings.app_env, arguments.user, arguments.profile)
        found = [info async for info in orphans_of(store, settings.app_env, address)]
    rows = [(info.key, format_bytes(info.size), _time(info.modified_at)) for info in found]
    table = format_table(("orphan", "size", "written"), rows, cell_width_max=KEY_BYTES_MAX)
    console.print(table if rows else "no orphans")
    return ExitCode.DONE


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


ACTIONS: dict[str, Callable[[Console, argparse.Namespace, ActorLog], Awaitable[int]]] = {
    "list": _list,
    "verify": _verify,
    "restore": _restore,
    "export": _export,
}
