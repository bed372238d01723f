"""`holdfast import USER FILE`: make a SQLite file the content of a user's database."""

from __future__ import annotations

import argparse
from pathlib import Path

from holdfast.console import Console, add_service_arguments
from holdfast.progress import format_bytes
from holdfast.service_client import database_path

HELP = "load a SQLite file into a user's database"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user")
    parser.add_argument("file", type=Path)
    parser.add_argument("--replace", action="store_true", help="replace what a database that is not empty holds")
    add_service_arguments(parser, progress=True)


def run(console: Console, arguments: argparse.Namespace) -> int:
    size = arguments.file.stat().st_size
    path = database_path(arguments.user, arguments.profile) + "/import"
    params = {"replace": "true"} if arguments.replace else {}
    progress = console.progress(f"import {arguments.file}", arguments, total=size)
    with console.client(arguments) as client, progress:
        client.upload(path, arguments.file, params=params, advance=progress.advance)
    console.print(f"{arguments.user}: {format_bytes(size)} imported")
    return 0
