"""What a request to `…/sql` asks beside its body: shape, level, idempotency key. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from actors.call import Durability
from gateway.rest.query import choice_field
from storage.errors import InvalidRequest

SHAPES = ("arrays", "objects")
LEVELS = tuple(level.value for level in Durability)


def sql_args(headers: Mapping[bytes, bytes], fields: Mapping[str, str], *, key_length_max: int) -> dict[str, object]:
    """The call's arguments, from headers and the fields of the query. Raises InvalidRequest."""
    args: dict[str, object] = {"shape": choice_field(fields, "shape", SHAPES, SHAPES[0])}
    level = headers.get(b"holdfast-durability")
    if level is not None:
        args["durability"] = _level(level.decode("latin-1"))
    key = headers.get(b"idempotency-key")
    if key is not None:
        args["idempotency_key"] = _idempotency_key(key.decode("latin-1"), key_length_max)
    return args


def _level(level: str) -> str:
    if level not in LEVELS:
        raise InvalidRequest(f"Holdfast-Durability is {level[:80]!r}, expected one of {', '.join(LEVELS)}")
    return level


def _idempotency_key(key: str, most: int) -> str:
    if not 0 < len(key) <= most or not key.isascii() or not key.isprintable():
        raise InvalidRequest(f"Idempotency-Key: expected 1 to {most} printable ASCII characters, found {len(key)}")
    return key
