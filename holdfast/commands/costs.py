"""`holdfast costs`: r2 mode and actors in dollars of R2 a month, for a size and a request rate; the break-even point.

Only the bucket is counted. Machines that run the actors cost the same however the bucket is used.
"""

from __future__ import annotations

import argparse
import json
import re

from holdfast.console import Console
from holdfast.costs.comparison import Bill, actor_bill, break_even_requests_day, planned_break_even, r2_bill
from holdfast.costs.prices import PLANNED, R2, SOURCE
from holdfast.costs.traffic import Pace, Traffic
from holdfast.exit_code import ExitCode
from holdfast.settings import Settings
from holdfast.table import format_table
from storage.errors import InvalidRequest

HELP = "compare what r2 mode and actors cost in the bucket"
UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMG]?)B?\Z", re.IGNORECASE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", default="1MB", help="size of a user's database (default: %(default)s)")
    parser.add_argument(
        "--requests", type=float, default=100.0, help="requests per user and day (default: %(default)s)"
    )
    parser.add_argument("--writes", type=float, default=0.2, help="share of requests that write (default: %(default)s)")
    parser.add_argument(
        "--active-hours", type=float, default=1.0, help="hours a day they fall in (default: %(default)s)"
    )
    parser.add_argument("--sessions", type=float, default=1.0, help="activations a day (default: %(default)s)")
    parser.add_argument("--changed", default="4KB", help="compressed pages that a write changes (default: %(default)s)")
    parser.add_argument("--users", type=int, default=1000, help="users (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(console: Console, arguments: argparse.Namespace) -> int:
    traffic = Traffic(
        size_bytes=parse_size(arguments.size),
        requests_day=arguments.requests,
        write_share=arguments.writes,
        active_s=arguments.active_hours * 3600,
        activations=arguments.sessions,
        changed_bytes=parse_size(arguments.changed),
    ).validate()
    if arguments.users < 1:
        raise InvalidRequest(f"users is {arguments.users}, expected 1 or more")
    pace = _pace(console.settings())
    if arguments.json:
        console.print(json.dumps(_mapping(traffic, pace, arguments.users)))
    else:
        _print(console, traffic, pace, arguments.users)
    return ExitCode.DONE


def parse_size(text: str) -> float:
    """`1.5MB` in bytes; decimal units, as R2 bills. Raises InvalidRequest."""
    match = _SIZE.match(text.strip())
    if match is None:
        raise InvalidRequest(f"size {text!r}: expected a number with B, KB, MB or GB")
    return float(match[1]) * UNITS[match[2].upper()]


def _pace(settings: Settings) -> Pace:
    actors = settings.actors
    return Pace(
        flush_interval_s=actors.flush_interval_s,
        ttl_s=actors.ttl_s,
        snapshot_slots_max=actors.snapshot_slots_max,
        retention_days=actors.retention_s / 86_400,
        looks=actors.ownership == "strict",
    )


def _mapping(traffic: Traffic, pace: Pace, users: int) -> dict[str, object]:
    return {
        "users": users,
        "r2_dollars_month": r2_bill(traffic).dollars * users,
        "actor_dollars_month": actor_bill(traffic, pace).dollars * users,
        "break_even_requests_day": break_even_requests_day(traffic, pace),
        "planned_break_even_requests_day": planned_break_even(traffic),
        "prices": SOURCE,
    }


def _print(console: Console, traffic: Traffic, pace: Pace, users: int) -> None:
    bills = {"r2 mode": r2_bill(traffic), "actors": actor_bill(traffic, pace)}
    rows = [_row(name, bill, users) for name, bill in bills.items()]
    console.print(format_table(("mode", "class A", "class B", "stored GB", "$ a month"), rows))
    console.print()
    point = break_even_requests_day(traffic, pace)
    if point is None:
        console.print("an actor never costs less than r2 mode here")
    else:
        console.print(f"an actor costs less from {point:.1f} requests per user and day on")
    console.print(
        f"the plan's table (Durable Objects at ${PLANNED.actor_storage_gb_month:.2f}/GB, requests included; 'around "
        f"{PLANNED.break_even_requests_day:.0f}+'): {planned_break_even(traffic):.1f} for this size and share of writes"
    )
    console.print(
        f"prices: {SOURCE}: ${R2.storage_gb_month}/GB and month, ${R2.class_a_million:.2f} and "
        f"${R2.class_b_million:.2f} per million operations of class A and B; without the free tier"
    )


def _row(name: str, bill: Bill, users: int) -> tuple[str, int, int, float, float]:
    counts = bill.operations.times(users)
    return (
        name,
        round(counts.class_a),
        round(counts.class_b),
        round(bill.stored_bytes * users / 1e9, 3),
        round(bill.dollars * users, 2),
    )
