"""`holdfast layout migrate|finalize|rollback|status`: objects from older layouts into today's.

--from flat --to profiled moves users and games; --to projects moves media by the records that name them. Without
--execute nothing is written: the command says what it would do. The runbook is docs/layout-migration.md.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from holdfast.archive.bucket import opened_store
from holdfast.console import Console, add_store_arguments, flags_given
from holdfast.empty_folders import remove_empty_folders
from holdfast.exit_code import ExitCode
from holdfast.media_table import MediaTable
from holdfast.progress import format_bytes
from holdfast.settings import Settings
from holdfast.table import format_table
from migrate.layout.documents import read_profiles
from migrate.layout.errors import LayoutConflict
from migrate.layout.finalizing import Finalizer
from migrate.layout.flat_unit import FlatUnit
from migrate.layout.forward import ForwardMove
from migrate.layout.projects import ProjectMove
from migrate.layout.record_source import JsonLines, RecordSource
from migrate.layout.record_store import Parts, RecordStore
from migrate.layout.report import Outcome, UnitReport, total
from migrate.layout.run import chosen_units, run_units
from migrate.layout.way_back import WayBack
from storage.clock import SystemClock
from storage.errors import InvalidRequest
from storage.layout.address import check_id
from storage.layout.remaining import count_flat_keys
from storage.objects.local import LocalStore
from storage.objects.port import ObjectStore

HELP = "move objects from older layouts into today's"
Flow = Callable[[FlatUnit], Awaitable[UnitReport]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _step(actions, "migrate", "copy, verify, switch; the old objects stay")
    finalizing = _step(actions, "finalize", "delete the old objects; there is no way back afterwards")
    finalizing.add_argument(
        "--accept-missing", action="store_true", help="copies that are gone were deleted on purpose in the new place"
    )
    _step(actions, "rollback", "carry what changed back to the old objects")
    status = actions.add_parser("status", help="how far each user has moved")
    status.add_argument("--json", action="store_true", help="one JSON line per unit")
    status.set_defaults(local=False)
    add_store_arguments(status)


def run(console: Console, arguments: argparse.Namespace) -> int:
    settings = console.settings(flags_given(arguments))
    return asyncio.run(_run(console, arguments, settings))


def _step(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text)
    parser.add_argument("--from", dest="source", choices=("flat",), default="flat", help="the old layout")
    parser.add_argument("--to", dest="target", choices=("profiled", "projects"), default="profiled")
    parser.add_argument("--execute", action="store_true", help="do it; without this nothing is written")
    parser.add_argument("--user", action="append", help="only this user (may be given several times)")
    parser.add_argument("--max-failures", type=int, help="stop behind that many failed users")
    parser.add_argument("--local", action="store_true", help="the local tree of a bucket's mirror, not the bucket")
    parser.add_argument("--records", type=Path, metavar="FILE", help="--to projects: JSON lines that name the media")
    parser.add_argument("--table", help="--to projects: a table in the database of --user that names the media")
    parser.add_argument("--url", help="--table: address of the service")
    parser.add_argument("--json", action="store_true", help="one JSON line per unit, the total last")
    add_store_arguments(parser)
    return parser


async def _run(console: Console, arguments: argparse.Namespace, settings: Settings) -> int:
    async with opened_store(settings) as store:
        if arguments.action == "status":
            return await _status(console, arguments, settings, store)
        if arguments.target == "projects":
            return await _projects(console, arguments, settings, store)
        if not arguments.local:
            return await _flat(console, arguments, settings, store, bucket=None)
        tree = LocalStore(settings.service.data_dir, SystemClock())
        try:
            return await _flat(console, arguments, settings, tree, bucket=store if settings.s3.bucket else None)
        finally:
            await tree.close()


async def _flat(
    console: Console, arguments: argparse.Namespace, settings: Settings, store: ObjectStore, bucket: ObjectStore | None
) -> int:
    users = None if arguments.user is None else [check_id(user, "user") for user in arguments.user]
    units = chosen_units(store, settings.app_env, known=arguments.action != "migrate", users=users)
    step = _flow(arguments, _parts(settings, store), bucket)
    reports = []
    async for report in run_units(units, step, failures_max=arguments.max_failures):
        _show(console, arguments, report)
        reports.append(report)
    root = settings.service.data_dir if arguments.local else settings.store.root
    if arguments.action == "finalize" and arguments.execute and root is not None:
        remove_empty_folders(root, [report.unit.rpartition("/")[2] for report in reports])
    return _sum(console, arguments, total(reports))


def _flow(arguments: argparse.Namespace, parts: Parts, bucket: ObjectStore | None) -> Flow:
    execute = bool(arguments.execute)
    if arguments.action == "finalize":
        finalizer = Finalizer(parts, accept_missing=arguments.accept_missing)
        return lambda unit: finalizer.finalize(unit, execute=execute)
    if arguments.action == "rollback":
        way_back = WayBack(parts)
        return lambda unit: way_back.roll_back(unit, execute=execute)

    async def profile_in_bucket(user: str) -> str | None:
        if bucket is None:
            return None
        document = await read_profiles(bucket, parts.env, user)
        if document is None:
            raise LayoutConflict(f"users/{user}: has no profiles in the bucket yet; move the bucket first")
        return document.default

    forward = ForwardMove(parts, hint=profile_in_bucket)
    return forward.migrate if execute else forward.plan


async def _projects(console: Console, arguments: argparse.Namespace, settings: Settings, store: ObjectStore) -> int:
    execute = bool(arguments.execute)
    parts = _parts(settings, store)
    if (arguments.records is None) == (arguments.table is None):
        raise InvalidRequest("--to projects needs --records FILE, or --table NAME with --user")
    if arguments.records is not None:
        report = await _move_media(parts, JsonLines(arguments.records), arguments.action, execute=execute)
    else:
        if arguments.user is None or len(arguments.user) != 1:
            raise InvalidRequest("--table needs the one --user whose database has it")
        with console.client(arguments) as client:
            table = MediaTable(client, check_id(arguments.user[0], "user"), None, arguments.table)
            report = await _move_media(parts, table, arguments.action, execute=execute)
    _show(console, arguments, report)
    return _sum(console, arguments, total([report]))


async def _move_media(parts: Parts, records: RecordSource, action: str, *, execute: bool) -> UnitReport:
    move = ProjectMove(parts, records)
    flows = {"migrate": move.migrate, "finalize": move.finalize, "rollback": move.roll_back}
    return await flows[action](execute=execute)


async def _status(console: Console, arguments: argparse.Namespace, settings: Settings, store: ObjectStore) -> int:
    records = RecordStore(_parts(settings, store))
    rows = []
    async for unit in chosen_units(store, settings.app_env, known=True):
        record = await records.read(unit.name)
        if record is not None:
            rows.append((unit.name, record.state.value, record.profile, record.before.objects, record.before.bytes))
    if arguments.json:
        for name, state, profile, objects, size in rows:
            line = {"unit": name, "state": state, "profile": profile, "objects": objects, "bytes": size}
            console.print(json.dumps(line))
        return ExitCode.DONE
    console.print(format_table(("unit", "state", "profile", "objects", "bytes"), rows) if rows else "nothing has moved")
    console.print(f"in the flat layout: {(await count_flat_keys(store)).describe()}")
    return ExitCode.DONE


def _parts(settings: Settings, store: ObjectStore) -> Parts:
    return Parts(
        store=store,
        env=settings.app_env,
        clock=SystemClock(),
        rng=random.Random(),
        random_bytes=os.urandom,
        run=os.urandom(8).hex(),
        by=_operator(),
    )


def _operator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _show(console: Console, arguments: argparse.Namespace, report: UnitReport) -> None:
    if arguments.json:
        console.print(json.dumps(report.to_mapping()))
        return
    console.print(f"{report.unit}: {_counts(report)}" + "".join(f"; {note}" for note in report.notes))
    for error in report.errors:
        console.note(f"{report.unit}: {error}")


def _sum(console: Console, arguments: argparse.Namespace, whole: UnitReport) -> int:
    if arguments.json:
        console.print(json.dumps(whole.to_mapping()))
    else:
        console.print(f"total: {_counts(whole)}")
    if not arguments.execute:
        console.note("nothing was written: --execute does it")
    return ExitCode.FAILED if whole.outcome in (Outcome.FAILED, Outcome.CONFLICT) else ExitCode.DONE


def _counts(report: UnitReport) -> str:
    before, after = report.before, report.after
    text = (
        f"{report.outcome.value}; copied {report.copied.objects} ({format_bytes(report.copied.bytes)}), "
        f"deleted {report.deleted.objects} ({format_bytes(report.deleted.bytes)}), failed {report.failed}; "
        f"before {before.objects} objects, {before.bytes} bytes"
    )
    if report.outcome is Outcome.PLANNED:
        return text
    return f"{text}, after {after.objects} objects, {after.bytes} bytes: {'agree' if report.agrees else 'DIFFER'}"
