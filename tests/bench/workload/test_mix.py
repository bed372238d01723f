"""The same seed gives the same requests; both dialects ask for the same; shares are kept."""

from __future__ import annotations

import json
import random
import re
import sqlite3
from collections import Counter

import pytest

from bench.peers.schema import per_user_schema
from bench.workload import statement as statements
from bench.workload.dialect import Dialect
from bench.workload.mix import APPLICATION_SHARES, OPERATIONS, SHARES, draw, workload
from bench.workload.population import FULL, SMALL, Population, fill_up, populate
from bench.workload.statement import Statement

ALL_STATEMENTS = [value for value in vars(statements).values() if isinstance(value, Statement)]


def a_database(population: Population) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("PRAGMA foreign_keys=ON")
    database.executescript(per_user_schema())
    for step in json.loads(populate(0, population, Dialect.PER_USER, seed=1))["statements"]:
        database.execute(step["sql"])
    return database


def test_the_same_seed_draws_the_same_requests_and_another_one_others() -> None:
    def drawn(seed: int) -> list[object]:
        rng = random.Random(seed)
        return [draw(workload("mix", users=10), Dialect.PER_USER, rng) for _ in range(50)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_kinds_come_in_their_shares() -> None:
    rng = random.Random(1)
    kinds = Counter(draw(workload("mix"), Dialect.PER_USER, rng)[0] for _ in range(20_000))
    for kind, share in APPLICATION_SHARES.items():
        assert kinds[kind] / 20_000 == pytest.approx(share / 100, abs=0.02)


def test_users_are_numbered_from_the_first_on() -> None:
    rng = random.Random(1)
    users = {draw(workload("read", users=3, first_user=7), Dialect.PER_USER, rng)[1] for _ in range(100)}
    assert users == {7, 8, 9}


@pytest.mark.parametrize("statement", ALL_STATEMENTS, ids=lambda statement: statement.per_user[:30])
def test_a_shared_statement_has_the_user_and_the_same_parameters(statement: Statement) -> None:
    numbers = sorted(int(number) for number in re.findall(r"\$(\d+)", statement.shared))
    assert numbers == list(range(1, statement.per_user.count("?") + 2))


@pytest.mark.parametrize("kind", OPERATIONS)
def test_every_request_of_a_kind_finds_its_rows(kind: str) -> None:
    database, rng = a_database(FULL), random.Random(1)
    for _ in range(30):
        body = json.loads(OPERATIONS[kind].body(rng, FULL, Dialect.PER_USER))
        before = database.total_changes
        rows = [
            row
            for step in body.get("statements", [body])
            for row in database.execute(step["sql"], step["params"]).fetchall()
        ]
        assert (database.total_changes > before) is OPERATIONS[kind].writes
        assert bool(rows) is not OPERATIONS[kind].writes


@pytest.mark.parametrize("population", [FULL, SMALL], ids=["full", "small"])
def test_a_population_has_the_rows_it_says(population: Population) -> None:
    database = a_database(population)
    counts = [
        database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("games", "raw_clips", "projects", "working_clips")
    ]
    games = population.games
    assert counts == [games, games * population.clips_per_game, population.projects, population.working_clips]


def test_a_shared_population_differs_by_the_user_column_alone() -> None:
    own = populate(4, SMALL, Dialect.PER_USER, seed=1).decode()
    shared = populate(4, SMALL, Dialect.SHARED, seed=1).decode()
    assert shared.replace("(user_id, ", "(").replace("('u4', ", "(") == own


def test_filling_up_reaches_about_the_size_asked_for() -> None:
    database = a_database(FULL)
    database.execute(json.loads(fill_up(4))["sql"])
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    assert pages * 4096 / (1 << 20) == pytest.approx(4, rel=0.15)


def test_every_share_names_an_operation() -> None:
    assert {kind for shares in SHARES.values() for kind in shares} <= set(OPERATIONS)
