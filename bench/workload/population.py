"""What every user's database holds before a load begins: the same rows in every contender, from one seed.

Rows are written as literals in few statements, so that a thousand users are filled in seconds. Names are invented.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.workload.dialect import Dialect

CLUBS = ("Northfield Comets", "Harbour Rovers", "Elmwood United", "Quarry Lane", "Riverside Owls", "Saltmarsh Athletic")
MOMENTS = ("goal", "assist", "save", "tackle", "dribble", "through ball", "corner", "counter-attack")
MATCH_S = 5400.0
FILLER_ROWS_PER_MIB = 1000


@dataclass(frozen=True, slots=True)
class Population:
    """Rows of one user."""

    games: int = 10
    clips_per_game: int = 20
    projects: int = 3
    clips_per_project: int = 4

    @property
    def working_clips(self) -> int:
        return self.projects * self.clips_per_project


FULL = Population()
SMALL = Population(games=4, clips_per_game=2, projects=1, clips_per_project=2)


def user_name(number: int) -> str:
    """The bench's users: u0, u1, …"""
    return f"u{number}"


def populate(number: int, population: Population, dialect: Dialect, *, seed: int) -> bytes:
    """Body of the request that fills one user's database: one transaction."""
    rng = random.Random(f"{seed}/{number}")
    tables: list[tuple[str, str, list[list[object]]]] = [
        ("games", "id, name, video_path, duration, opponent_name, game_date, game_type", _games(rng, population)),
        ("raw_clips", "id, game_id, video_path, start_time, end_time, rating, tags, notes", _clips(rng, population)),
        ("projects", "id, name", [[n + 1, f"reel {n + 1}"] for n in range(population.projects)]),
        (
            "working_clips",
            "id, project_id, raw_clip_id, clip_index, crop_keyframes",
            _working_clips(rng, population),
        ),
    ]
    texts = [_insert(table, columns, rows, number, dialect) for table, columns, rows in tables if rows]
    return json.dumps({"statements": [{"sql": text} for text in texts]}).encode()


def fill_up(mebibytes: float) -> bytes:
    """Body of a request that grows a user's SQLite database by about that size, with rows that do not compress."""
    rows = int(mebibytes * FILLER_ROWS_PER_MIB)
    sql = (
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
        "INSERT INTO raw_clips (game_id, video_path, start_time, end_time, notes) "
        "SELECT 1, 'raw_clips/filler-' || i || '.mp4', i, i + 5, hex(randomblob(460)) FROM n"
    )
    return json.dumps({"sql": sql}).encode()


def keyframes(rng: random.Random, count: int = 12) -> str:
    """A crop track as the application stores it: some 700 bytes of JSON."""
    return json.dumps(
        [
            {"t": round(0.4 * n, 2), "x": rng.randint(0, 1280), "y": rng.randint(0, 300), "w": 608, "h": 1080}
            for n in range(count)
        ]
    )


def clip_values(rng: random.Random, game_id: int) -> list[object]:
    """game_id, video_path, start_time, end_time, rating, tags, notes."""
    start_s = round(rng.uniform(0, MATCH_S), 2)
    path = f"raw_clips/{rng.getrandbits(64):016x}.mp4"
    tags = json.dumps([rng.choice(MOMENTS)])
    return [game_id, path, start_s, round(start_s + rng.uniform(4, 14), 2), rng.randint(1, 5), tags, "second half"]


def _games(rng: random.Random, population: Population) -> list[list[object]]:
    rows: list[list[object]] = []
    for number in range(1, population.games + 1):
        opponent = rng.choice(CLUBS)
        date = f"2026-{rng.randint(3, 10):02d}-{rng.randint(1, 28):02d}"
        video = f"games/{rng.getrandbits(128):032x}.mp4"
        length_s = round(MATCH_S + rng.uniform(0, 400), 2)
        rows.append([number, f"match {number}", video, length_s, opponent, date, rng.choice(("home", "away"))])
    return rows


def _clips(rng: random.Random, population: Population) -> list[list[object]]:
    count = population.games * population.clips_per_game
    return [[n + 1, *clip_values(rng, n // population.clips_per_game + 1)] for n in range(count)]


def _working_clips(rng: random.Random, population: Population) -> list[list[object]]:
    clips = population.games * population.clips_per_game
    return [
        [n + 1, n // population.clips_per_project + 1, rng.randint(1, clips), n, keyframes(rng)]
        for n in range(population.working_clips)
    ]


def _insert(table: str, columns: str, rows: Iterable[Sequence[object]], number: int, dialect: Dialect) -> str:
    owner = [user_name(number)] if dialect is Dialect.SHARED else []
    names = f"user_id, {columns}" if dialect is Dialect.SHARED else columns
    values = ", ".join(f"({', '.join(_literal(value) for value in [*owner, *row])})" for row in rows)
    return f"INSERT INTO {table} ({names}) VALUES {values}"


def _literal(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
