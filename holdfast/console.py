"""What a command is given: environment, output streams, time; and what commands build from them.

One place, so that a test runs any command in process with its own environment and reads what it printed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TextIO

import httpx

from holdfast.progress import Progress, wants_progress
from holdfast.service_client import ServiceClient, service_url
from holdfast.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Console:
    """`now` is seconds on any steady clock. `transport` replaces the network, `read_line` the keyboard in tests."""

    environ: Mapping[str, str]
    out: TextIO
    err: TextIO
    now: Callable[[], float]
    transport: httpx.BaseTransport | None = None
    read_line: Callable[[], str] = lambda: sys.stdin.readline()

    def print(self, text: str = "") -> None:
        """A line of the command's result."""
        self.out.write(text + "\n")

    def note(self, text: str) -> None:
        """A line beside the result: warnings, errors, what happens now."""
        self.err.write(f"holdfast: {text}\n")
        self.err.flush()

    def ask(self, question: str) -> str:
        """What somebody types; empty when nobody can."""
        self.err.write(question)
        self.err.flush()
        return self.read_line().rstrip("\n")

    def settings(self, flags: Mapping[str, str] | None = None) -> Settings:
        """Settings of the environment and the given flags; unknown variables are noted."""
        settings = load_settings(self.environ, flags)
        for warning in settings.warnings:
            self.note(f"warning: {warning}")
        return settings

    def client(self, arguments: argparse.Namespace) -> ServiceClient:
        """A client of the running service that --url, HOLDFAST_URL or the settings name."""
        settings = self.settings()
        url = service_url(self.environ, settings, arguments.url)
        return ServiceClient(url, self.environ.get("HOLDFAST_TOKEN") or None, transport=self.transport)

    def progress(self, what: str, arguments: argparse.Namespace, *, total: int | None = None) -> Progress:
        """A progress line for long work, on a terminal or with --progress."""
        shown = wants_progress(self.err, bool(getattr(arguments, "progress", False)))
        return Progress(what, stream=self.err, shown=shown, now=self.now, total=total)


def add_service_arguments(parser: argparse.ArgumentParser, *, progress: bool = False) -> None:
    """--url, --profile and, for long work, --progress."""
    parser.add_argument(
        "--url", help="address of the service (default: HOLDFAST_URL, else the configured host and port)"
    )
    parser.add_argument("--profile", help="profile id (default: the selected profile)")
    if progress:
        add_progress_argument(parser)


def add_progress_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--progress", action="store_true", help="show progress although stderr is no terminal")


# Flag of the command line -> the setting it stands for.
STORE_FLAGS = {"data_dir": "HOLDFAST_DATA_DIR", "bucket": "HOLDFAST_BUCKET", "endpoint": "HOLDFAST_S3_ENDPOINT"}


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    """--data-dir, --bucket, --endpoint: which object store."""
    parser.add_argument("--data-dir", help="data directory: the object store without a bucket, and local state")
    parser.add_argument("--bucket", help="bucket on R2 or S3")
    parser.add_argument("--endpoint", help="URL of the S3 service")


def flags_given(arguments: argparse.Namespace, names: Mapping[str, str] = STORE_FLAGS) -> dict[str, str]:
    """Settings that flags were given for, by variable."""
    found = {variable: getattr(arguments, name) for name, variable in names.items()}
    return {variable: str(value) for variable, value in found.items() if value is not None}
