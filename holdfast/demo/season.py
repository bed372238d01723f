"""Invented rows for the demo: matches of made-up clubs and the clips somebody cut from them.

Everything comes from the random generator that is passed in, so one seed makes one season.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

CLUBS = ("Northfield Comets", "Harbour Rovers", "Elmwood United", "Quarry Lane", "Riverside Owls", "Saltmarsh Athletic")
CUPS = ("Spring Cup", "Lakeside Invitational", None, None)
MOMENTS = ("goal", "assist", "save", "tackle", "dribble", "through ball", "corner", "counter-attack")
MATCH_S = 5400.0


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with its parameters, as POST …/sql takes it."""

    sql: str
    params: list[object]

    def to_json(self) -> dict[str, object]:
        return {"sql": self.sql, "params": self.params}


def games(rng: random.Random, *, user: str, count: int) -> list[Statement]:
    """A season of `count` matches."""
    sql = (
        "INSERT INTO games (name, video_path, duration, fps, width, height, opponent_name, game_date, game_type, "
        "tournament_name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    statements = []
    for number in range(1, count + 1):
        opponent = rng.choice(CLUBS)
        date = f"2026-{rng.randint(3, 10):02d}-{rng.randint(1, 28):02d}"
        video = f"games/{rng.getrandbits(128):032x}.mp4"
        length_s = round(MATCH_S + rng.uniform(0, 400), 2)
        kind = rng.choice(("home", "away"))
        row = [f"{user}: match {number} against {opponent}", video, length_s, 29.97, 1920, 1080, opponent, date, kind]
        statements.append(Statement(sql, [*row, rng.choice(CUPS)]))
    return statements


def clip(rng: random.Random, *, key: str, games_count: int) -> Statement:
    """One clip of one match. `key` goes into its notes: by it the row is found again."""
    start_s = round(rng.uniform(0, MATCH_S), 2)
    moment = rng.choice(MOMENTS)
    return Statement(
        "INSERT INTO raw_clips (game_id, video_path, start_time, end_time, rating, tags, notes) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            rng.randint(1, games_count),
            f"raw_clips/{key}.mp4",
            start_s,
            round(start_s + rng.uniform(4, 14), 2),
            rng.randint(1, 5),
            f'["{moment}"]',
            key,
        ],
    )
