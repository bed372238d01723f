"""SQLite's values in JSON and back, without loss.

SQLite                    JSON                              the other way
NULL                      null                              the same
INTEGER                   a number, all 64 bits exact       the same; true and false are 1 and 0
REAL                      a number                          the same
REAL, infinite            {"real": "Infinity"} or "-Infinity"   the same
REAL, not a number        null (SQLite keeps none)          -
TEXT                      a string, NUL included            the same
TEXT, no valid UTF-8      {"text_base64": "…"}              refused: CAST(? AS TEXT) of a blob writes one
BLOB                      {"base64": "…"}                   the same
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from itertools import chain
from math import inf
from typing import Any

from actors.database.statement import RawText, Row, SqlValue
from storage.errors import InvalidRequest

_PLAIN = frozenset({type(None), int, float, str, bool})
_SPECIAL = frozenset({bytes, RawText, float})
_REALS = {"Infinity": inf, "-Infinity": -inf}


def sql_parameters(params: Any) -> Any:
    """Parameters as SQLite takes them, from a JSON list, object or null. Raises InvalidRequest."""
    if not params:
        return params
    if isinstance(params, dict):
        if _PLAIN.issuperset(map(type, params.values())):
            return params
        return {name: sql_value(value, name) for name, value in params.items()}
    if _PLAIN.issuperset(map(type, params)):
        return params
    return [sql_value(value, position) for position, value in enumerate(params, 1)]


def sql_value(value: Any, name: object) -> SqlValue:
    """One parameter. Raises InvalidRequest naming it."""
    if type(value) in _PLAIN:
        return value  # type: ignore[no-any-return]
    if isinstance(value, dict) and len(value) == 1:
        kind, content = next(iter(value.items()))
        if kind == "base64":
            return _bytes(content, name)
        if kind == "real" and isinstance(content, str) and content in _REALS:
            return _REALS[content]
        if kind == "text_base64":
            raise InvalidRequest(
                f'parameter {name}: text that is not UTF-8 is written as CAST(? AS TEXT) of a {{"base64": …}} value'
            )
    found = "an array" if isinstance(value, list) else "an object" if isinstance(value, dict) else type(value).__name__
    raise InvalidRequest(
        f'parameter {name}: {found} is no SQL value; there are null, numbers, strings, {{"base64": "…"}} and '
        f'{{"real": "Infinity"}} or {{"real": "-Infinity"}}'
    )


def json_rows(rows: list[Row]) -> Sequence[Sequence[Any]]:
    """Rows that any JSON encoder writes as documented; the same list where nothing needs care."""
    kinds = _SPECIAL.intersection(map(type, chain.from_iterable(rows)))
    if not kinds:
        return rows
    if kinds == {float} and inf not in map(abs, _floats(rows)):
        return rows
    return [[json_value(value) for value in row] for row in rows]


def json_value(value: SqlValue) -> Any:
    """One value as it stands in JSON."""
    if isinstance(value, bytes):
        kind = "text_base64" if isinstance(value, RawText) else "base64"
        return {kind: base64.b64encode(value).decode("ascii")}
    if isinstance(value, float) and abs(value) == inf:
        return {"real": "Infinity" if value > 0 else "-Infinity"}
    return value


def _floats(rows: list[Row]) -> list[float]:
    return [value for row in rows for value in row if value.__class__ is float]


def _bytes(content: object, name: object) -> bytes:
    try:
        if isinstance(content, str):
            return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise InvalidRequest(f"parameter {name}: the base64 value is none")
