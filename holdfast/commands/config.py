"""`holdfast config show`: every setting, its value and where the value came from."""

from __future__ import annotations

import argparse

from holdfast.console import Console
from holdfast.table import format_table

HELP = "show the settings in force"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="show")
    show = actions.add_parser("show", help="every setting, its value and its origin; secrets are masked")
    show.add_argument("--changed", action="store_true", help="only those that are not at their default")


def run(console: Console, arguments: argparse.Namespace) -> int:
    rows = [
        (setting.variable, value, origin.value)
        for setting, value, origin in console.settings().rows()
        if not arguments.changed or origin.value != "default"
    ]
    console.print(format_table(("setting", "value", "origin"), rows))
    return 0
