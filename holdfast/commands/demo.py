"""`holdfast demo`: a tour of at most a minute, in a temporary folder, that ends by itself.

Starts a service, creates users, writes under load, kills a host with SIGKILL, and shows that nothing acknowledged is
missing and that an export opens in plain SQLite.
"""

from __future__ import annotations

import argparse
import asyncio
import random

from holdfast.console import Console
from holdfast.demo.report import demo_report
from holdfast.demo.tour import Tour
from storage.clock import SystemClock

HELP = "a tour of at most a minute that kills a host and loses nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=2026, help="seed of the invented rows (default: %(default)s)")


def run(console: Console, arguments: argparse.Namespace) -> int:
    clock = SystemClock()
    began = clock.now()

    def say(text: str) -> None:
        console.note(f"{clock.now() - began:5.1f} s  {text}")

    outcome = asyncio.run(Tour(console.environ, clock, random.Random(arguments.seed), say).run())
    console.print(demo_report(outcome))
    return 0
