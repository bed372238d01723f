"""One read of r2 mode, run again on the same bytes: as its actor would after a migration, and on plain SQLite.

The actor's image is made by the import that a migration uses, so what that would change shows. Compared are columns and
rows as the answer's JSON has them. Whatever an engine raises is a finding too, never an error. Blocking: for a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Any

import msgspec

from actors.database.answer import encode_answer
from actors.database.database import Database
from actors.database.importing import import_database
from actors.database.plain_read import plain_read
from actors.database.statement import BatchResult
from actors.model.sql_turn import SqlTurn
from actors.r2mode.file_image import file_image
from actors.settings import DatabaseSettings
from storage.errors import HoldfastError

SHOWN_CHARS_MAX = 500


class Engine(StrEnum):
    """What the caller's answer is compared with."""

    ACTOR = "actor"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Finding:
    """The first place where an engine disagrees: `row` of `statement`, both from 0; without a row the columns differ.

    `answered` and `found` are JSON, cut at `SHOWN_CHARS_MAX`. `failed`: the engine raised what `found` says.
    """

    engine: Engine
    statement: int
    row: int | None
    answered: str
    found: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """What both engines said, and how long each took, in seconds."""

    findings: tuple[Finding, ...]
    seconds: Mapping[Engine, float]


@dataclass(frozen=True, slots=True)
class ShadowRun:
    """A read that was answered: the file's bytes, the request, and the answer that the caller got."""

    body: bytes
    turn: SqlTurn
    answer: bytes

    def compare(self, settings: DatabaseSettings, now: Callable[[], float]) -> Comparison:
        """Run both engines. `now`: a monotonic clock in seconds; infinite ends what runs. Raises nothing foreseen."""
        answered = _results(self.answer)
        findings, seconds = [], {}
        for engine, run in ((Engine.ACTOR, self._as_actor), (Engine.CONTROL, self._as_control)):
            began_at = now()
            try:
                result = run(settings, now)
                seconds[engine] = now() - began_at
                finding = first_difference(engine, answered, _results(self._encode(result)))
            except Exception as error:  # an engine that cannot answer is what shadow reads are there to find
                seconds.setdefault(engine, now() - began_at)
                finding = Finding(engine, 0, None, "", _shown(_words(error)), failed=True)
            if finding is not None:
                findings.append(finding)
        return Comparison(tuple(findings), seconds)

    def _as_actor(self, settings: DatabaseSettings, now: Callable[[], float]) -> BatchResult:
        image = import_database(self.body, settings, drop_system_tables=True, now=now).image
        database = Database.open(image, settings, now=now)
        try:
            return database.execute(self.turn.batch)
        finally:
            database.close()

    def _as_control(self, settings: DatabaseSettings, now: Callable[[], float]) -> BatchResult:
        return plain_read(file_image(self.body, settings), self.turn.batch, settings, now)

    def _encode(self, result: BatchResult) -> bytes:
        return encode_answer(result, bookmark=None, durability=self.turn.level.value, shape=self.turn.shape)


def first_difference(engine: Engine, answered: list[dict[str, Any]], found: list[dict[str, Any]]) -> Finding | None:
    """Where two answers' results differ first, or None."""
    for statement, (one, other) in enumerate(zip(answered, found, strict=True)):
        if one["columns"] != other["columns"]:
            return Finding(engine, statement, None, _shown(one["columns"]), _shown(other["columns"]))
        if one["rows"] == other["rows"]:
            continue
        for row, (mine, theirs) in enumerate(zip_longest(one["rows"], other["rows"])):
            if mine != theirs:
                return Finding(engine, statement, row, _shown(mine), _shown(theirs))
    return None


def _results(answer: bytes) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = msgspec.json.decode(answer)["results"]
    return results


def _words(error: Exception) -> str:
    return f"{error.code}: {error.message}" if isinstance(error, HoldfastError) else f"{type(error).__name__}: {error}"


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()[:SHOWN_CHARS_MAX]
