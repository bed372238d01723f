"""Bodies of SQL requests: what is taken, and what is refused with which words."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.database.request import decode_request
from actors.database.statement import Statement
from storage.errors import InvalidRequest
from tests.actors.database.factory import SETTINGS

LIMITED = dataclasses.replace(SETTINGS, sql_bytes_max=50, parameters_max=3, statements_max=2)


@pytest.mark.parametrize(
    ("body", "statements"),
    [
        ({"sql": "SELECT 1"}, [Statement("SELECT 1")]),
        ({"sql": "SELECT ?", "params": [1]}, [Statement("SELECT ?", [1])]),
        ({"sql": "SELECT :a", "params": {"a": "x"}}, [Statement("SELECT :a", {"a": "x"})]),
        ({"sql": "SELECT 1", "params": None}, [Statement("SELECT 1")]),
        ({"statements": [{"sql": "A"}, {"sql": "B", "params": []}]}, [Statement("A"), Statement("B", [])]),
        ({"sql": "SELECT ?", "params": [{"base64": "YQ=="}]}, [Statement("SELECT ?", [b"a"])]),
    ],
)
def test_taken(body: dict[str, Any], statements: list[Statement]) -> None:
    assert list(decode_request(msgspec.json.encode(body), SETTINGS).statements) == statements


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"nonsense", "malformed|invalid"),
        (b"[]", "Expected `object`"),
        (b'"x"', "Expected `object`"),
        (b"{}", "neither `sql` nor `statements`"),
        (b'{"sql":null}', "neither `sql` nor `statements`"),
        (b'{"sql":5}', r"Expected `str.*\$\.sql"),
        (b'{"sql":"x","params":5}', r"\$\.params"),
        (b'{"sql":"x","params":"y"}', r"\$\.params"),
        (b'{"sql":"x","unknown":1}', "unknown field `unknown`"),
        (b'{"statements":[{"sql":"x","oops":1}]}', "unknown field `oops`"),
        (b'{"statements":[{"params":[]}]}', "missing required field `sql`"),
        (b'{"statements":[]}', "0 statements, expected 1 to 2"),
        (b'{"statements":[{"sql":"a"},{"sql":"a"},{"sql":"a"}]}', "3 statements, expected 1 to 2"),
        (b'{"statements":[{"sql":"a"}],"sql":"b"}', "both `sql` and `statements`"),
        (b'{"statements":[{"sql":"a"}],"params":[]}', "each statement has its own"),
        (b'{"sql":"' + b"x" * 51 + b'"}', "51 characters, at most 50"),
        (b'{"sql":"x","params":[1,2,3,4]}', "4 parameters, at most 3"),
        (b'{"sql":"x","params":[1e999]}', r"out of range.*\$\.params\[0\]"),
        (b'{"sql":"x","params":[[1]]}', "an array is no SQL value"),
        (b'{"sql":"\\ud800"}', "truncated|surrogate|invalid|malformed"),
        (b'{"sql":"x","params":["\\ud800"]}', "no SQL request"),
        (b'{"sql":"\xff"}', "utf-8|UTF-8"),
        (b"[" * 200_000, "no SQL request"),
        (b'{"sql":"x","params":' + b"[" * 200_000, "no SQL request"),
    ],
)
def test_refused(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        decode_request(body, LIMITED)


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_no_bytes_at_all_raise_anything_but_invalid_request(body: bytes) -> None:
    try:
        decode_request(body, SETTINGS)
    except InvalidRequest:
        pass
