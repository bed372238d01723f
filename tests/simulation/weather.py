"""How badly the way to the bucket treats requests: probabilities, and the fate drawn for one request."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

from storage.objects.settings import S3Settings

TIMEOUT_S = S3Settings(bucket="simulated").read_timeout_s


class Outcome(Enum):
    """What becomes of one request."""

    ANSWERED = "executed and answered"
    REFUSED = "429, not executed"
    FAILED_BEFORE = "500, not executed"
    FAILED_AFTER = "executed, then 500"
    REQUEST_LOST = "never arrives, no answer"
    ANSWER_LOST = "executed, no answer"


@dataclass(frozen=True, slots=True)
class Weather:
    """Probabilities per request and ranges in seconds. `slow` applies to each direction by itself.

    `puts_refused`: every write of a key with this in it is answered 429, while looks and lists go through.
    """

    latency_s: tuple[float, float] = (0.005, 0.08)
    refused: float = 0.0
    failed_before: float = 0.0
    failed_after: float = 0.0
    request_lost: float = 0.0
    answer_lost: float = 0.0
    duplicated: float = 0.0
    stray_s: tuple[float, float] = (0.01, 60.0)
    slow_request: float = 0.0
    slow_answer: float = 0.0
    slow_s: tuple[float, float] = (0.5, 14.0)
    timeout_s: float = TIMEOUT_S
    puts_refused: str | None = None


CALM = Weather()
ROUGH = Weather(
    refused=0.02,
    failed_before=0.01,
    failed_after=0.015,
    request_lost=0.01,
    answer_lost=0.02,
    duplicated=0.04,
    slow_request=0.02,
    slow_answer=0.03,
)


@dataclass(frozen=True, slots=True)
class Fate:
    """One request's way: seconds until it is executed, until its answer is there, until a stray copy is executed."""

    outcome: Outcome
    request_s: float
    answer_s: float
    stray_s: float | None


def draw_fate(weather: Weather, rng: random.Random, name: str, key: str) -> Fate:
    """The fate of one request under this weather."""
    request_s = rng.uniform(*weather.latency_s)
    answer_s = rng.uniform(*weather.latency_s)
    if weather.slow_request and rng.random() < weather.slow_request:
        request_s += rng.uniform(*weather.slow_s)
    if weather.slow_answer and rng.random() < weather.slow_answer:
        answer_s += rng.uniform(*weather.slow_s)
    stray_s = None
    if weather.duplicated and rng.random() < weather.duplicated:
        low, high = weather.stray_s
        stray_s = low * (high / low) ** rng.random()
    outcome = _draw_outcome(weather, rng)
    if weather.puts_refused is not None and name == "put" and weather.puts_refused in key:
        outcome = Outcome.REFUSED
    return Fate(outcome, request_s, answer_s, stray_s)


def _draw_outcome(weather: Weather, rng: random.Random) -> Outcome:
    roll = rng.random()
    for outcome, share in (
        (Outcome.REFUSED, weather.refused),
        (Outcome.FAILED_BEFORE, weather.failed_before),
        (Outcome.FAILED_AFTER, weather.failed_after),
        (Outcome.REQUEST_LOST, weather.request_lost),
        (Outcome.ANSWER_LOST, weather.answer_lost),
    ):
        if roll < share:
            return outcome
        roll -= share
    return Outcome.ANSWERED
