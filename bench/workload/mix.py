"""Seeded streams of requests: the application's mix, and the single operations that are measured apart.

The same seed gives the same requests, whatever answers them. Rows are chosen uniformly; users too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.workload import statement as s
from bench.workload.dialect import Dialect
from bench.workload.population import FULL, Population, clip_values, keyframes

Make = Callable[[random.Random, Population, Dialect], bytes]


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of request. `body` makes its JSON."""

    kind: str
    writes: bool
    body: Make


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`shares` are weights per kind of operation; users are numbered from `first_user` on."""

    name: str
    shares: Mapping[str, int]
    users: int = 1
    first_user: int = 0
    population: Population = FULL


def _read_game(rng: random.Random, population: Population, dialect: Dialect) -> bytes:
    return s.one(s.READ_GAME, [rng.randint(1, population.games)], dialect)


def _list_games(rng: random.Random, population: Population, dialect: Dialect) -> bytes:
    return s.one(s.LIST_GAMES, [], dialect)


def _list_clips(rng: random.Random, population: Population, dialect: Dialect) -> bytes:
    return s.one(s.LIST_CLIPS, [rng.randint(1, population.games)], dialect)


def _read_project(rng: random.Random, population: Population, dialect: Dialect) -> bytes:
    return s.one(s.READ_PROJECT, [rng.randint(1, population.projects)], dialect)


def _insert_clip(rng: random.Random, population: Population, dialect: Dialect) -> bytes:
    return s.one(s.INSERT_CLIP, clip_values(rng, rng.randint(1, population.games)), dialect)


def _update_keyframes(rng: random.Random, population: Population, dialect: Dialect) -> bytes:
    return s.one(s.UPDATE_KEYFRAMES, [keyframes(rng), rng.randint(1, population.working_clips)], dialect)


def _save_overlay(rng: random.Random, population: Population, dialect: Dialect) -> bytes:
    project = rng.randint(1, population.projects)
    steps: list[tuple[s.Statement, s.Params]] = [(s.CLEAR_REGIONS, [project])]
    for _ in range(3):
        start = rng.randint(0, 900)
        shape = [round(rng.random(), 4) for _ in range(4)]
        steps.append((s.INSERT_REGION, [project, start, start + 90, *shape]))
    steps.append((s.MARK_OVERLAY, [f"2026-09-{rng.randint(1, 28):02d}", project]))
    return s.transaction(steps, dialect)


def _touch_game(rng: random.Random, population: Population, dialect: Dialect) -> bytes:
    moment = f"2026-09-{rng.randint(1, 28):02d} 10:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}"
    return s.one(s.TOUCH_GAME, [moment, rng.randint(1, population.games)], dialect)


OPERATIONS = {
    operation.kind: operation
    for operation in (
        Operation("read_game", False, _read_game),
        Operation("list_games", False, _list_games),
        Operation("list_clips", False, _list_clips),
        Operation("read_project", False, _read_project),
        Operation("insert_clip", True, _insert_clip),
        Operation("update_keyframes", True, _update_keyframes),
        Operation("save_overlay", True, _save_overlay),
        Operation("touch_game", True, _touch_game),
    )
}

APPLICATION_SHARES = {
    "list_games": 15,
    "list_clips": 30,
    "read_project": 20,
    "insert_clip": 15,
    "update_keyframes": 12,
    "save_overlay": 8,
}
SHARES: dict[str, Mapping[str, int]] = {
    "read": {"read_game": 1},
    "insert": {"insert_clip": 1},
    "touch": {"touch_game": 1},
    "mix": APPLICATION_SHARES,
}


def workload(name: str, *, users: int = 1, first_user: int = 0, population: Population = FULL) -> Workload:
    """One of SHARES by name. Raises KeyError."""
    return Workload(name=name, shares=SHARES[name], users=users, first_user=first_user, population=population)


def draw(work: Workload, dialect: Dialect, rng: random.Random) -> tuple[str, int, bytes]:
    """The next request of a workload: its kind, its user's number, its body."""
    kinds = list(work.shares)
    kind = kinds[0] if len(kinds) == 1 else rng.choices(kinds, weights=[work.shares[name] for name in kinds])[0]
    user = work.first_user + rng.randrange(work.users)
    return kind, user, OPERATIONS[kind].body(rng, work.population, dialect)
