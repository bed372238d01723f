"""`holdfast migrate …`: users between r2 mode and actors, one by one, while they go on working.

Without --execute nothing is written: `run`, `rollback` and `finalize` say what they would do. A run that was killed is
begun again with the same words and goes on; two at once do no harm. The runbook is docs/migration.md.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import msgspec

from holdfast.archive.bucket import opened_store
from holdfast.console import Console, add_store_arguments, flags_given
from holdfast.exit_code import ExitCode
from holdfast.migrations import LocalDoor, ServiceDoor, migration_parts
from holdfast.progress import format_bytes
from holdfast.settings import Settings
from holdfast.table import format_table
from migrate.candidates import Candidate, find_candidates
from migrate.decision import Goal
from migrate.finalization import Fate, Finalization
from migrate.parts import MigrationParts
from migrate.record_store import RecordStore
from migrate.report import Ending, Report, UserLine, line_document
from migrate.run import MigrationRun, RunOptions
from migrate.selection import Chosen, Selection, read_users_file, select_users
from migrate.settings import MigrationSettings
from migrate.survey import ProfileSurvey, plan_user, verify_user
from storage.clock import SystemClock
from storage.errors import HoldfastError
from storage.flags.build import open_flags
from storage.rollout.store import RolloutStore

HELP = "move users between r2 mode and actors, verify, go back, finalize"
DUE = frozenset({"open", "sealing"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in (
        ("plan", "what `run` would do, per profile; inspects every file"),
        ("run", "move users to actors"),
        ("rollback", "carry users back, with everything written since"),
        ("verify", "rebuild what was moved from the bucket alone, and compare"),
        ("finalize", "replace sealed files by tombstones, 30 days after the move; there is no comparing afterwards"),
        ("status", "how far everybody is"),
    ):
        action = _action(actions, name, text)
        _add_selection(action)
        if name in ("run", "rollback", "finalize"):
            action.add_argument("--execute", action="store_true", help="do it; without this nothing is written")
        if name in ("run", "rollback"):
            _add_driving(action)
        if name == "rollback":
            action.add_argument("--force", action="store_true", help="close logs over owners that do not end")
    for name, text in (("pause", "let every driver stop after the users it is at"), ("resume", "let drivers go on")):
        _action(actions, name, text)
    asking = _action(actions, "candidates", "who should move, and why")
    asking.add_argument("--service", action="store_true", help="ask the running service, which has measured requests")


def run(console: Console, arguments: argparse.Namespace) -> int:
    settings = console.settings(flags_given(arguments))
    return asyncio.run(_run(console, arguments, settings))


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text)
    parser.add_argument("--json", action="store_true", help="one JSON line per user or profile, the sum last")
    parser.add_argument("--url", help="address of the service, which is asked to release actors")
    add_store_arguments(parser)
    return parser


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", action="append", default=[], help="this user (may be given several times)")
    parser.add_argument("--users-file", type=Path, help="one user per line")
    parser.add_argument("--percent", type=float, help="that share of all users, by the rollout's hash")
    parser.add_argument("--all", action="store_true", dest="everybody", help="every user in the bucket")
    parser.add_argument("--run", default="", dest="of_run", metavar="RUN", help="those whom that run moved last")
    parser.add_argument("--limit", type=int, default=0, help="at most so many users")


def _add_driving(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--concurrency", type=int, default=4, help="users at once (default: 4)")
    parser.add_argument("--rate", type=float, default=0.0, help="users begun per second (default: no bound)")
    parser.add_argument("--max-failures", type=int, default=10, help="failed users that stop the run; 0 for none")
    parser.add_argument("--max-pause", type=float, default=30.0, help="seconds that writes may wait; 0 for no bound")
    parser.add_argument("--report", type=Path, help="where the report goes (default: migration-RUN.json)")


async def _run(console: Console, arguments: argparse.Namespace, settings: Settings) -> int:
    async with _parts(console, arguments, settings) as parts:
        action = arguments.action
        if action in ("pause", "resume"):
            switch = await RecordStore(parts).set_switch(paused=action == "pause")
            console.print("migrations are paused" if switch.paused else "migrations go on")
            return ExitCode.DONE
        if action == "candidates":
            return await _candidates(console, arguments, parts)
        chosen = await _chosen(arguments, parts)
        if action in ("run", "rollback") and arguments.execute:
            return await _move(console, arguments, parts, chosen)
        if action == "finalize":
            return await _finalize(console, arguments, parts, chosen)
        if action == "status":
            return await _status(console, arguments, parts, chosen)
        return await _survey(console, arguments, parts, chosen)


@asynccontextmanager
async def _parts(console: Console, arguments: argparse.Namespace, settings: Settings) -> AsyncIterator[MigrationParts]:
    clock, rng = SystemClock(), random.Random()
    limits = MigrationSettings(pause_s_max=getattr(arguments, "max_pause", 30.0))
    local = LocalDoor(settings)
    async with opened_store(settings) as store:
        flags = open_flags(settings.flags, store=store, env=settings.app_env, clock=clock, rng=rng)
        try:
            with console.client(arguments) as client:
                door = ServiceDoor(client, local)
                yield migration_parts(store, settings, flags, door, clock=clock, rng=rng, by=_who(), limits=limits)
        finally:
            await local.close()
            await flags.close()


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


async def _chosen(arguments: argparse.Namespace, parts: MigrationParts) -> Chosen:
    """The users meant. Without a word, those who are eligible; where there is nothing to begin, those with a record."""
    users = tuple(arguments.user) + (read_users_file(arguments.users_file) if arguments.users_file else ())
    selection = Selection(users, arguments.percent, arguments.everybody, arguments.of_run, arguments.limit)
    named = users or arguments.everybody or arguments.of_run or arguments.percent is not None
    forwards = arguments.action in ("plan", "run")
    if not named and not forwards:
        selection = Selection(tuple([user async for user in RecordStore(parts).users()]), limit=arguments.limit)
        if not selection.users:
            return Chosen(())
    rollouts = RolloutStore(parts.store, parts.env, clock=parts.clock, rng=parts.rng)
    return await select_users(parts, selection, await rollouts.read(), Goal.ACTOR if forwards else Goal.R2)


# ---- looking


async def _survey(console: Console, arguments: argparse.Namespace, parts: MigrationParts, chosen: Chosen) -> int:
    """`plan`, `verify`, and what `run` and `rollback` say without --execute."""
    verifying = arguments.action == "verify"
    rows: list[ProfileSurvey] = []
    for user in chosen.users:
        found = await (verify_user(parts, user) if verifying else plan_user(parts, user))
        rows += found
        if arguments.json:
            for row in found:
                _print_json(console, asdict(row))
    problems = sum(1 for row in rows if row.problem)
    back = arguments.action == "rollback"
    due = sum(1 for row in rows if not row.problem and (row.state not in DUE if back else row.state in DUE))
    if not arguments.json:
        _print_survey(console, rows)
        for user, reason in chosen.left_out.items():
            console.print(f"left out {user}: {reason}")
        what = "checked" if verifying else "to carry back" if back else "to move"
        console.print(f"{len(rows) if verifying else due} profiles {what}, {problems} with problems")
    if verifying:
        return ExitCode.FAILED if problems else ExitCode.DONE
    return ExitCode.WOULD_CHANGE if due else ExitCode.DONE


def _print_survey(console: Console, rows: list[ProfileSurvey]) -> None:
    if not rows:
        return
    cells = [
        (
            row.user,
            row.profile,
            f"{row.state} {row.gen}" if row.state else "",
            format_bytes(row.size),
            row.tables,
            "" if row.pause_s is None else f"{row.pause_s:.2f} s",
            f"{row.code}: {row.problem}" if row.problem else "",
        )
        for row in rows
    ]
    console.print(format_table(("user", "profile", "file", "size", "tables", "pause (est.)", "problem"), cells))


async def _status(console: Console, arguments: argparse.Namespace, parts: MigrationParts, chosen: Chosen) -> int:
    records = RecordStore(parts)
    counts: dict[str, int] = {}
    rows = []
    for user in chosen.users:
        record = await records.read(user)
        state = "r2" if record is None else record.state.value
        counts[state] = counts.get(state, 0) + 1
        if arguments.json:
            document = {"user": user, "state": state}
            _print_json(console, document if record is None else {**msgspec.to_builtins(record), **document})
        elif record is not None:
            reasons = "; ".join(profile.reason for profile in record.profiles.values() if profile.reason)
            rows.append((user, state, len(record.profiles), record.goal.value, record.run, reasons))
    switch = await records.switch()
    if arguments.json:
        _print_json(console, {"states": counts, "paused": switch.paused})
        return ExitCode.DONE
    if rows and (arguments.user or len(rows) <= 50):
        console.print(format_table(("user", "state", "profiles", "goal", "run", "reason"), rows))
    words = ", ".join(f"{state} {count}" for state, count in sorted(counts.items())) or "nobody was ever moved"
    console.print(words + ("; paused" if switch.paused else ""))
    return ExitCode.DONE


async def _candidates(console: Console, arguments: argparse.Namespace, parts: MigrationParts) -> int:
    if arguments.service:
        with console.client(arguments) as client:
            answer = await asyncio.to_thread(client.call, "GET", "/v1/admin/migrations")
        found = [msgspec.convert(each, Candidate) for each in answer["candidates"]]
    else:
        found = [candidate async for candidate in find_candidates(parts.store, parts.env, {})]
    found.sort(key=lambda candidate: candidate.weight)
    for candidate in found if arguments.json else ():
        _print_json(console, asdict(candidate))
    if not arguments.json:
        rows = [(each.user, format_bytes(each.size), "; ".join(each.reasons)) for each in found]
        console.print(format_table(("user", "size", "reasons"), rows) if rows else "nobody needs to move")
    return ExitCode.DONE


# ---- moving


async def _move(console: Console, arguments: argparse.Namespace, parts: MigrationParts, chosen: Chosen) -> int:
    goal = Goal.ACTOR if arguments.action == "run" else Goal.R2
    options = RunOptions(
        concurrency=arguments.concurrency,
        rate=arguments.rate,
        failures_max=arguments.max_failures,
        force=getattr(arguments, "force", False),
    )

    def on_line(report: Report, line: UserLine) -> None:
        if arguments.json:
            _print_json(console, line_document(line))
        else:
            console.note(report.status(report.seconds))

    report = await MigrationRun(parts, goal, options, on_line=on_line).move(chosen.users)
    report.left_out = chosen.left_out
    path = arguments.report or Path(f"migration-{parts.run}.json")
    body = msgspec.json.format(msgspec.json.encode(report.document()), indent=2)
    await asyncio.to_thread(path.write_bytes, body)
    if arguments.json:
        _print_json(console, {**report.document(), "lines": None, "report": str(path)})
    else:
        console.print(report.text())
        console.print(f"report: {path}")
    return _exit_code(report)


def _exit_code(report: Report) -> ExitCode:
    if report.ending is Ending.PAUSED:
        return ExitCode.PAUSED
    bad = any(line.bad for line in report.lines)
    return ExitCode.FAILED if bad or report.ending is not Ending.DONE else ExitCode.DONE


async def _finalize(console: Console, arguments: argparse.Namespace, parts: MigrationParts, chosen: Chosen) -> int:
    counts: dict[str, int] = {}
    for user in chosen.users:
        try:
            done = await Finalization(parts, user).run(execute=arguments.execute)
        except HoldfastError as error:
            counts[error.code] = counts.get(error.code, 0) + 1
            _tell(console, arguments, {"user": user, "code": error.code, "message": error.message})
            continue
        for each in done:
            counts[each.fate.value] = counts.get(each.fate.value, 0) + 1
            _tell(console, arguments, {"user": user, **asdict(each)})
    words = ", ".join(f"{what} {count}" for what, count in sorted(counts.items())) or "nobody to finalize"
    if arguments.json:
        _print_json(console, {"counts": counts, "executed": arguments.execute})
    else:
        console.print(words + ("" if arguments.execute else " (dry run)"))
    if set(counts) - {fate.value for fate in Fate}:
        return ExitCode.FAILED
    return ExitCode.WOULD_CHANGE if not arguments.execute and counts.get(Fate.TOMBSTONE.value) else ExitCode.DONE


def _tell(console: Console, arguments: argparse.Namespace, document: Mapping[str, object]) -> None:
    if arguments.json:
        _print_json(console, document)
    else:
        console.print("  ".join(str(value) for value in document.values()))


def _print_json(console: Console, document: Mapping[str, object]) -> None:
    console.print(msgspec.json.encode(document).decode())
