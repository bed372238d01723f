"""Why a user should move, in words with figures."""

from __future__ import annotations

import pytest

from storage.r2_sqlite.figures import Figures, UserFigures
from storage.r2_sqlite.reasons import GROWING_BYTES, LARGE_BYTES, reasons_to_move


def figures_of(*, load_s: float = 0.0, save_s: float = 0.0, races: int = 0, wishes: int = 0) -> UserFigures:
    figures = Figures(users_max=1)
    figures.loaded("alice", 1, load_s)
    figures.saved("alice", 1, save_s)
    for _ in range(races):
        figures.lost_race("alice")
    for _ in range(wishes):
        figures.needed_actor("alice")
    return figures.of("alice")


@pytest.mark.parametrize(
    ("size", "measured", "reasons"),
    [
        (GROWING_BYTES - 1, None, ()),
        (GROWING_BYTES, None, ("size 0.5 MiB",)),
        (LARGE_BYTES, None, ("size 1.0 MiB",)),
        (2 * LARGE_BYTES, None, ("size 2.0 MiB (over 1 MiB)",)),
        (1, figures_of(), ()),
        (1, figures_of(load_s=0.25), ("load p95 0.25 s",)),
        (1, figures_of(save_s=1.5), ("save p95 1.50 s",)),
        (1, figures_of(races=2), ("lost races 2",)),
        (1, figures_of(wishes=3), ("asked 3 times for what only an actor can do",)),
    ],
)
def test_each_reason_names_its_figure(size: int, measured: UserFigures | None, reasons: tuple[str, ...]) -> None:
    assert reasons_to_move(size, measured) == reasons


def test_reasons_add_up() -> None:
    assert len(reasons_to_move(LARGE_BYTES, figures_of(load_s=1, save_s=1, races=1, wishes=1))) == 5
