"""What is asked of a database, and what it answers: statements, batches, results. Values only.

These are msgspec structs: they are decoded from and encoded to JSON as they stand, and one is built per request on the
hot path at a quarter of a frozen dataclass's cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

SqlValue = None | int | float | str | bytes
Parameters = Sequence[Any] | Mapping[str, Any] | None
Row = tuple[SqlValue, ...]


class RawText(bytes):
    """A TEXT value whose bytes are no valid UTF-8, as they stand in the database."""

    __slots__ = ()


class Statement(msgspec.Struct, frozen=True):
    """One SQL text and its parameters. A text of several statements binds them to the last, and answers the last."""

    sql: str
    params: Any = None


class Batch(msgspec.Struct, frozen=True):
    """Statements that run as one transaction."""

    statements: tuple[Statement, ...]


class StatementResult(msgspec.Struct, frozen=True):
    """`changes`: rows the statement itself wrote. `last_insert_rowid`: of this batch so far, None before any insert."""

    columns: tuple[str, ...]
    rows: list[Row]
    changes: int
    last_insert_rowid: int | None


class BatchResult(msgspec.Struct, frozen=True):
    """`readonly`: no page of the database changed, there is nothing to take, journal or wait for."""

    results: list[StatementResult]
    readonly: bool


def a_batch(sql: str, params: Parameters = None) -> Batch:
    """A batch of one statement."""
    return Batch((Statement(sql, params),))
