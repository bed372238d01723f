"""The body of a SQL request, decoded and checked before anything runs.

    {"sql": "…", "params": […] | {…}}        or        {"statements": [{"sql": "…", "params": …}, …]}

Unknown fields and wrong types are refused; limits on lengths and counts are the settings'.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.database.statement import Batch, Statement
from actors.database.value import sql_parameters
from actors.settings import DatabaseSettings
from storage.errors import InvalidRequest


class _Statement(msgspec.Struct, forbid_unknown_fields=True):
    sql: str
    params: list[Any] | dict[str, Any] | None = None


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    sql: str | None = None
    params: list[Any] | dict[str, Any] | None = None
    statements: list[_Statement] | None = None


_DECODER = msgspec.json.Decoder(_Body)


def decode_request(body: bytes, settings: DatabaseSettings) -> Batch:
    """The batch in a request body. Raises InvalidRequest saying what is wrong where."""
    try:
        request = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the request is no SQL request: {error}") from error
    if request.sql is not None:
        if request.statements is not None:
            raise InvalidRequest("the request has both `sql` and `statements`, expected one of them")
        return Batch((_checked(request, settings),))
    if request.statements is None:
        raise InvalidRequest("the request has neither `sql` nor `statements`")
    if request.params is not None:
        raise InvalidRequest("`params` beside `statements`: each statement has its own")
    if not 0 < len(request.statements) <= settings.statements_max:
        raise InvalidRequest(f"{len(request.statements)} statements, expected 1 to {settings.statements_max}")
    return Batch(tuple([_checked(statement, settings) for statement in request.statements]))


def _checked(request: _Statement | _Body, settings: DatabaseSettings) -> Statement:
    sql, params = request.sql, request.params
    assert sql is not None
    if len(sql) > settings.sql_bytes_max:
        raise InvalidRequest(
            f"an SQL text of {len(sql)} characters, at most {settings.sql_bytes_max} bytes are allowed"
        )
    if params is None:
        return Statement(sql)
    if len(params) > settings.parameters_max:
        raise InvalidRequest(f"{len(params)} parameters, at most {settings.parameters_max} are allowed")
    return Statement(sql, sql_parameters(params))
