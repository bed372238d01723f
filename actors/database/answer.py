"""The answer to a SQL request, straight to bytes.

    {"results": [{"columns", "rows", "changes", "last_insert_rowid"}, …], "bookmark": "…", "durability": "local"}

Rows are arrays, or with shape `objects` objects by column name, where of columns of one name the last wins. How many
rows and bytes an answer may hold was enforced while they were read (`row.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from actors.database.statement import BatchResult, Row, StatementResult
from actors.database.value import json_rows
from storage.errors import InvalidRequest

Shape = Literal["arrays", "objects"]


class _Result(msgspec.Struct, frozen=True):
    columns: tuple[str, ...]
    rows: Sequence[Any]
    changes: int
    last_insert_rowid: int | None


class _Answer(msgspec.Struct, frozen=True):
    results: Sequence[StatementResult | _Result]
    bookmark: str | None
    durability: str


_ENCODER = msgspec.json.Encoder()


def encode_answer(result: BatchResult, *, bookmark: str | None, durability: str, shape: Shape = "arrays") -> bytes:
    """JSON of a batch's results. r2 mode has no bookmarks: None."""
    results = [_shaped(each, shape) for each in result.results]
    return _ENCODER.encode(_Answer(results, bookmark, durability))


def decode_shape(value: object) -> Shape:
    """A request's `shape`. Raises InvalidRequest."""
    if value in (None, "", "arrays"):
        return "arrays"
    if value == "objects":
        return "objects"
    raise InvalidRequest(f"shape {str(value)[:40]!r}, expected arrays or objects")


def shape_rows(columns: tuple[str, ...], rows: list[Row], shape: Shape) -> Sequence[Sequence[Any] | Mapping[str, Any]]:
    """Rows as JSON will show them."""
    written = json_rows(rows)
    return written if shape == "arrays" else [dict(zip(columns, row, strict=True)) for row in written]


def _shaped(result: StatementResult, shape: Shape) -> StatementResult | _Result:
    if not result.rows:
        return result
    rows = shape_rows(result.columns, result.rows, shape)
    if rows is result.rows:
        return result
    return _Result(result.columns, rows, result.changes, result.last_insert_rowid)
