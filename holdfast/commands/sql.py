"""`holdfast sql USER "…"`: run statements in a user's database and print what they return."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from holdfast.console import Console, add_service_arguments
from holdfast.service_client import database_path
from holdfast.table import format_table
from storage.errors import InvalidRequest

HELP = "run SQL in a user's database"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user")
    parser.add_argument("sql", help="one or more statements; - reads them from standard input")
    parser.add_argument("--params", default="[]", help="parameters as JSON, a list or an object")
    parser.add_argument("--durability", choices=("memory", "local", "r2"), help="wait for this level")
    parser.add_argument("--json", action="store_true", help="print the service's answer as it is")
    add_service_arguments(parser)


def run(console: Console, arguments: argparse.Namespace) -> int:
    sql = sys.stdin.read() if arguments.sql == "-" else arguments.sql
    headers = {"holdfast-durability": arguments.durability} if arguments.durability else {}
    body = {"sql": sql, "params": _params(arguments.params)}
    with console.client(arguments) as client:
        answer = client.call(
            "POST", database_path(arguments.user, arguments.profile) + "/sql", json=body, headers=headers
        )
    if arguments.json:
        console.print(json.dumps(answer, ensure_ascii=False))
        return 0
    for result in answer["results"]:
        _print_result(console, result)
    return 0


def _params(text: str) -> object:
    try:
        params = json.loads(text)
    except ValueError as error:
        raise InvalidRequest(f"--params {text!r}: {error}") from error
    if not isinstance(params, list | dict):
        raise InvalidRequest(f"--params {text!r}: expected a JSON list or object")
    return params


def _print_result(console: Console, result: dict[str, Any]) -> None:
    if result["columns"]:
        console.print(format_table(result["columns"], result["rows"]))
    if result.get("changes"):
        console.print(f"{result['changes']} changed, last rowid {result['last_insert_rowid']}")
