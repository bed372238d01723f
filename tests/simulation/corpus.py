"""Seeds that once broke a promise, with what it was. They stay, so that what was mended stays mended.

A scenario changes when the generator does; then its seed is one among many, and the test beside the source that was
mended holds the bug itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation import mutants
from tests.simulation.scenario import PROFILES, Profile


@dataclass(frozen=True, slots=True)
class Remembered:
    """One seed of one profile, and what it found."""

    seed: int
    profile: Profile
    what: str


CORPUS = (
    Remembered(80, PROFILES["mixed"], "a refused commit was refused again when the connection closed: it never ended"),
    Remembered(
        240, PROFILES["stalls"], "an owner that was replaced long ago told a statement's error from its old image"
    ),
    Remembered(96, PROFILES["bucket"], "one fetch of a recovery failed, and the error that left was no error of ours"),
    Remembered(205, PROFILES["stalls"], "the same, in a claim"),
    Remembered(86, PROFILES["mixed"], "a replaced owner called a bookmark of its successor lost"),
    Remembered(392, PROFILES["mixed"], "the same"),
    Remembered(414, PROFILES["days"], "the same, days later"),
    Remembered(5, mutants.STALLED_SYNCS, "a blocked sync was not counted as an absence: the judge was wrong"),
    Remembered(156, mutants.STALLED_SYNCS, "a sync in a thread met a journal that had been closed"),
    Remembered(248, PROFILES["mixed"], "a request lost in a short cut took its whole timeout: the judge was wrong"),
)
