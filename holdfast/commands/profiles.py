"""`holdfast profiles USER`: list a user's profiles; create, select, rename, delete one."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from holdfast.console import Console
from holdfast.service_client import ServiceClient, database_path
from holdfast.table import format_table

HELP = "list and change a user's profiles"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user")
    parser.add_argument(
        "--url", help="address of the service (default: HOLDFAST_URL, else the configured host and port)"
    )
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--create", metavar="NAME", help="create a profile")
    change.add_argument("--select", metavar="ID", help="make a profile the selected one")
    change.add_argument("--rename", nargs=2, metavar=("ID", "NAME"), help="name a profile")
    change.add_argument("--delete", metavar="ID", help="delete a profile; its data stays for the retention time")


def run(console: Console, arguments: argparse.Namespace) -> int:
    path = database_path(arguments.user, None)
    with console.client(arguments) as client:
        _change(client, path, arguments)
        answer = client.call("GET", f"{path}/profiles")
    console.print(format_table(("profile", "name", ""), _rows(answer)))
    return 0


def _change(client: ServiceClient, path: str, arguments: argparse.Namespace) -> None:
    if arguments.create is not None:
        client.call("POST", f"{path}/profiles", json={"name": arguments.create})
    elif arguments.select is not None:
        client.call("PUT", f"{path}/selected-profile", json={"profileId": arguments.select})
    elif arguments.rename is not None:
        profile, name = arguments.rename
        client.call("PATCH", f"{path}/profiles/{quote(profile, safe='@')}", json={"name": name})
    elif arguments.delete is not None:
        client.call("DELETE", f"{path}/profiles/{quote(arguments.delete, safe='@')}")


def _rows(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows = []
    for profile, entry in sorted(answer["profiles"].items()):
        marks = [
            word
            for word, is_so in (
                ("default", profile == answer.get("default")),
                ("selected", profile == answer.get("selected")),
            )
            if is_so
        ]
        rows.append((profile, str(entry.get("name") or ""), ", ".join(marks)))
    return rows
