"""The `holdfast` program: finds the command, runs it, turns errors into one line and an exit code.

The commands are one file each in holdfast/commands/. Nothing heavy is imported before a command needs it, so that
`holdfast --help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module, metadata
from types import ModuleType

from holdfast.console import Console
from holdfast.exit_code import ExitCode, exit_code_for, exit_code_lines
from storage.errors import HoldfastError

# Name on the command line -> module in holdfast/commands/.
COMMANDS = {
    "bench": "bench",
    "bucket": "bucket",
    "config": "config",
    "costs": "costs",
    "demo": "demo",
    "doctor": "doctor",
    "export": "export",
    "import": "import_",
    "layout": "layout",
    "log": "log",
    "migrate": "migrate",
    "profiles": "profiles",
    "rollout": "rollout",
    "serve": "serve",
    "sql": "sql",
}


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run one command; the exit code (see holdfast/exit_code.py)."""
    console = Console(os.environ if environ is None else environ, sys.stdout, sys.stderr, time.monotonic)
    return run(console, sys.argv[1:] if arguments is None else arguments)


def run(console: Console, arguments: Sequence[str]) -> int:
    """The same, with streams and environment given. Usage errors raise SystemExit(2), as argparse does."""
    parsed = build_parser().parse_args(list(arguments))
    try:
        return int(_module(parsed.command).run(console, parsed))
    except HoldfastError as error:
        console.note(error.message)
        return exit_code_for(error)
    except BrokenPipeError:
        _silence_stdout()
        return ExitCode.FAILED
    except OSError as error:
        console.note(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return ExitCode.FAILED
    except KeyboardInterrupt:
        console.note("interrupted")
        return ExitCode.INTERRUPTED


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="holdfast",
        description="A database per user: long-lived actors that keep SQLite in memory and ship it to object storage.",
        epilog="exit codes:\n" + "\n".join(exit_code_lines()) + "\n\nEvery setting is an environment variable: "
        "`holdfast config show` lists them, docs/settings.md explains them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_ShowVersion, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = _module(name)
        module.add_arguments(commands.add_parser(name, help=module.HELP, description=module.__doc__))
    return parser


class _ShowVersion(argparse.Action):
    """`--version`, looked up when asked for: a checkout that was never installed has none."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *ignored: object) -> None:
        try:
            version = metadata.version("holdfast")
        except metadata.PackageNotFoundError:
            version = "(not installed)"
        sys.stdout.write(f"holdfast {version}\n")  # a result, and `exit` would say it on standard error
        parser.exit()


def _module(command: str) -> ModuleType:
    return import_module(f"holdfast.commands.{COMMANDS[command]}")


def _silence_stdout() -> None:
    """The reader went away: nothing more can be said to it, not even by the interpreter at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    raise SystemExit(main())
