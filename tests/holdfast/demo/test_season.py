"""The demo's invented rows."""

from __future__ import annotations

import random

from holdfast.demo.season import clip, games


def test_one_seed_makes_one_season() -> None:
    assert games(random.Random(7), user="ana", count=3) == games(random.Random(7), user="ana", count=3)


def test_every_row_has_a_value_for_every_placeholder() -> None:
    rng = random.Random(1)
    for statement in [*games(rng, user="ana", count=5), clip(rng, key="ana-1", games_count=5)]:
        assert statement.sql.count("?") == len(statement.params)


def test_a_clip_carries_its_key_and_belongs_to_a_match() -> None:
    for number in range(50):
        row = clip(random.Random(number), key="k", games_count=3).params
        assert row[-1] == "k"
        assert row[0] in (1, 2, 3)
