"""Query strings, read strictly: a parameter nobody knows is an error, not a silent difference. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl

from storage.errors import InvalidRequest

FIELDS_MAX = 16
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def query_fields(query: bytes, known: Collection[str]) -> Mapping[str, str]:
    """The parameters by name. Raises InvalidRequest for one that is unknown or given twice."""
    if not query:
        return {}
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise InvalidRequest(f"query string: {error}") from error
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise InvalidRequest(f"query parameter {name[:80]!r}: expected one of {', '.join(sorted(known)) or 'none'}")
        if name in fields:
            raise InvalidRequest(f"query parameter {name!r}: given more than once")
        fields[name] = value
    return fields


def boolean_field(fields: Mapping[str, str], name: str) -> bool:
    """`true` or `false`; absent is false."""
    value = fields.get(name, "false")
    try:
        return _BOOLEANS[value]
    except KeyError:
        raise InvalidRequest(f"query parameter {name!r} is {value[:80]!r}, expected true or false") from None


def choice_field(fields: Mapping[str, str], name: str, choices: Collection[str], default: str) -> str:
    """One of `choices`."""
    value = fields.get(name, default)
    if value not in choices:
        raise InvalidRequest(f"query parameter {name!r} is {value[:80]!r}, expected one of {', '.join(choices)}")
    return value


def seconds_field(fields: Mapping[str, str], name: str, *, default: float, most: float) -> float:
    """Seconds from 0 to `most`."""
    text = fields.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise InvalidRequest(f"query parameter {name!r} is {text[:80]!r}, expected seconds from 0 to {most:g}")
    return value
