"""The recorded budget of a request's calls: per Python version, since what an interpreter calls is its own affair.

`python -m tests.bench.record_budget` writes it anew after a change that was meant.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.bench.call_count import CallCount, counting
from tests.bench.hot_path import HotPath, hot_path

FILE = Path(__file__).with_name("budget.json")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
REQUESTS = 41
WARM_UP = 30
# Calls above the record that are let through: less than the smallest thing worth noticing costs.
MARGIN = {"python": 3, "native": 4, "sqlite": 0, "json": 0, "syncs": 0}
STATEMENTS: dict[str, tuple[str, list[object]]] = {
    "read": ("SELECT id, name FROM games WHERE id = ?", [1]),
    "insert": ("INSERT INTO games (name, video_path) VALUES (?, ?)", ["match", "games/1.mp4"]),
}

Counts = dict[str, int]


async def count_requests(path: HotPath) -> dict[str, Counts]:
    """Counts of the usual request of each kind: the most frequent among many, timers left out."""
    found: dict[str, Counts] = {}
    await path.sql("alice", *STATEMENTS["insert"])
    for name, (sql, params) in STATEMENTS.items():
        for _ in range(WARM_UP):
            await path.sql("alice", sql, params)
        seen: Counter[tuple[tuple[str, int], ...]] = Counter()
        for _ in range(REQUESTS):
            count = CallCount()
            with counting(count):
                await path.sql("alice", sql, params)
            seen[tuple(count.to_json().items())] += 1
        found[name] = dict(seen.most_common(1)[0][0])
    return found


async def count_now() -> dict[str, Counts]:
    """The same on a path of its own."""
    with TemporaryDirectory(prefix="hf-") as folder, pytest.MonkeyPatch.context() as patch:
        async with hot_path(Path(folder), patch) as path:
            return await count_requests(path)


def recorded() -> dict[str, Counts] | None:
    """The budget of this Python version, or None where none was recorded."""
    budgets: dict[str, dict[str, Counts]] = json.loads(FILE.read_text("utf-8"))
    return budgets.get(VERSION)


def excesses(found: Mapping[str, Counts], budget: Mapping[str, Counts]) -> list[str]:
    """What goes beyond the budget and its margin."""
    return [
        f"{name}: {count} {kind} calls, the budget has {budget[name][kind]} (+{MARGIN[kind]})"
        for name, counts in found.items()
        for kind, count in counts.items()
        if count > budget[name][kind] + MARGIN[kind]
    ]
