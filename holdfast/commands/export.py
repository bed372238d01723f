"""`holdfast export USER`: download a consistent SQLite file of a user's database."""

from __future__ import annotations

import argparse
from pathlib import Path

from holdfast.console import Console, add_service_arguments
from holdfast.progress import format_bytes
from holdfast.service_client import database_path
from storage.errors import InvalidRequest

HELP = "download a user's database as a SQLite file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user")
    parser.add_argument("-o", "--output", type=Path, help="the file to write (default: USER.sqlite)")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    add_service_arguments(parser, progress=True)


def run(console: Console, arguments: argparse.Namespace) -> int:
    target = arguments.output or Path(f"{arguments.user}.sqlite")
    if target.exists() and not arguments.force:
        raise InvalidRequest(f"{target} exists; --force replaces it")
    path = database_path(arguments.user, arguments.profile) + "/export"
    with console.client(arguments) as client, console.progress(f"export {arguments.user}", arguments) as progress:
        size = client.download(path, target, advance=progress.advance)
    console.print(f"{target}: {format_bytes(size)}")
    return 0
