"""`holdfast rollout …`: who is eligible for an actor, in the bucket's document. Moves nobody by itself.

The order of decision: kill switch, denied users, allowed users, percentage. What is paused or killed stays as it is:
users who were moved are served by their actors.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

from holdfast.archive.bucket import opened_store
from holdfast.console import Console, add_store_arguments, flags_given
from holdfast.exit_code import ExitCode
from holdfast.settings import Settings
from holdfast.table import format_table
from storage.clock import SystemClock
from storage.rollout.decision import decide
from storage.rollout.document import Rollout, encode_rollout
from storage.rollout.store import RolloutStore

HELP = "say who is eligible for an actor: percentage, lists, pause, kill switch"
Change = Callable[[Rollout], Rollout]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    showing = _action(actions, "show", "the document; with users, what it says of them")
    showing.add_argument("users", nargs="*", metavar="USER")
    showing.add_argument("--json", action="store_true", help="print the document as it is stored")
    setting = _action(actions, "set", "the percentage of users who are eligible")
    setting.add_argument("percent", type=float, metavar="PERCENT", help="0 to 100, in steps of 0.01")
    for name, text in (("allow", "make users eligible whatever the percentage"), ("deny", "keep users out")):
        naming = _action(actions, name, text)
        naming.add_argument("users", nargs="+", metavar="USER")
        naming.add_argument("--remove", action="store_true", help="name them no longer: the percentage decides")
    for name, text in (
        ("pause", "leave the percentage out of account; allowed users stay eligible"),
        ("kill", "nobody is eligible, whatever else is said"),
    ):
        switching = _action(actions, name, text)
        switching.add_argument("--off", action="store_true", help="end it")


def run(console: Console, arguments: argparse.Namespace) -> int:
    settings = console.settings(flags_given(arguments))
    return asyncio.run(_run(console, arguments, settings))


def change_of(arguments: argparse.Namespace) -> Change | None:
    """What the command line asks for; None if it only looks."""
    action = arguments.action
    if action == "set":
        return lambda rollout: rollout.with_percent(arguments.percent)
    if action in ("allow", "deny"):
        return lambda rollout: _name(rollout, action, arguments)
    if action == "pause":
        return lambda rollout: replace(rollout, paused=not arguments.off)
    if action == "kill":
        return lambda rollout: replace(rollout, killed=not arguments.off)
    return None


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text)
    add_store_arguments(parser)
    return parser


def _name(rollout: Rollout, action: str, arguments: argparse.Namespace) -> Rollout:
    if arguments.remove:
        return rollout.unnaming(arguments.users)
    return rollout.allowing(arguments.users) if action == "allow" else rollout.denying(arguments.users)


async def _run(console: Console, arguments: argparse.Namespace, settings: Settings) -> int:
    async with opened_store(settings) as store:
        rollouts = RolloutStore(store, settings.app_env, clock=SystemClock(), rng=random.Random())
        change = change_of(arguments)
        rollout = (
            await rollouts.read()
            if change is None
            else await rollouts.change(change, by=console.environ.get("USER") or "unknown")
        )
    if getattr(arguments, "json", False):
        console.print(encode_rollout(rollout).decode())
    else:
        console.print(f"{settings.app_env}: {describe(rollout)}")
    if change is None and arguments.users:
        rows = [
            (user, "yes" if (found := decide(rollout, user)).eligible else "no", found.reason.value)
            for user in arguments.users
        ]
        console.print(format_table(("user", "eligible", "reason"), rows))
    return ExitCode.DONE


def describe(rollout: Rollout) -> str:
    """One line for people."""
    words = [f"{rollout.percent:g} percent", f"{len(rollout.allow)} allowed", f"{len(rollout.deny)} denied"]
    if rollout.paused:
        words.append("paused")
    if rollout.killed:
        words.append("killed")
    return ", ".join(words) + f" (revision {rollout.revision}{f', by {rollout.by}' if rollout.by else ''})"
