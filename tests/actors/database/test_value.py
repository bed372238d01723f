"""SQLite's values in JSON and back."""

from __future__ import annotations

import base64
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.database.statement import RawText, Row
from actors.database.value import json_rows, json_value, sql_parameters
from storage.errors import InvalidRequest
from tests.actors.database.factory import a_database, rows

values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(max_size=40),
)
DATABASE = a_database()


@given(st.lists(values, min_size=1, max_size=6))
@settings(deadline=None)
def test_every_value_comes_back_from_json_through_sqlite_as_it_went(sent: list[Any]) -> None:
    body = msgspec.json.encode([json_value(value) for value in sent])
    stored = rows(DATABASE, "SELECT " + ", ".join("?" for _ in sent), sql_parameters(msgspec.json.decode(body)))
    answer = msgspec.json.decode(msgspec.json.encode(json_rows(stored)))
    back = list(sql_parameters(answer[0]))
    assert [(type(value), value) for value in back] == [(type(value), value) for value in sent]


def test_integers_keep_all_64_bits_in_json() -> None:
    encoded = msgspec.json.encode(json_rows([(2**63 - 1, -(2**63), 2**53 + 1)]))
    assert encoded == b"[[9223372036854775807,-9223372036854775808,9007199254740993]]"


def test_infinity_is_an_object_and_not_a_number_is_null() -> None:
    answer = rows(DATABASE, "SELECT 1e999, -1e999, 0.0 / 0.0, ?, 1.5", [math.nan])
    assert json_rows(answer) == [[{"real": "Infinity"}, {"real": "-Infinity"}, None, None, 1.5]]
    assert sql_parameters([{"real": "Infinity"}, {"real": "-Infinity"}]) == [math.inf, -math.inf]


def test_true_and_false_are_one_and_zero() -> None:
    assert rows(DATABASE, "SELECT ?, typeof(?), ?", sql_parameters([True, True, False])) == [(1, "integer", 0)]


def test_blobs_and_texts_that_are_no_utf8_are_objects() -> None:
    text = RawText(b"\xffA")
    assert json_rows([(b"\x00\x01", text)]) == [[{"base64": "AAE="}, {"text_base64": "/0E="}]]
    assert sql_parameters({"b": {"base64": base64.b64encode(b"xyz").decode()}}) == {"b": b"xyz"}


def test_plain_rows_are_not_copied() -> None:
    plain: list[Row] = [(1, "x", None, 2.5)]
    assert json_rows(plain) is plain
    assert sql_parameters(None) is None
    parameters = [1, "x", None, 2.5, True]
    assert sql_parameters(parameters) is parameters


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1], "parameter 1: an array is no SQL value"),
        ({"a": 1}, "parameter 1: an object is no SQL value"),
        ({}, "an object is no SQL value"),
        ({"base64": 5}, "the base64 value is none"),
        ({"base64": "no!"}, "the base64 value is none"),
        ({"base64": "YQ"}, "the base64 value is none"),
        ({"base64": "YQ==", "more": 1}, "an object is no SQL value"),
        ({"real": "NaN"}, "an object is no SQL value"),
        ({"real": 1}, "an object is no SQL value"),
        ({"text_base64": "/w=="}, r"CAST\(\? AS TEXT\)"),
    ],
)
def test_what_is_no_value_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        sql_parameters([value])
    with pytest.raises(InvalidRequest):
        sql_parameters({"name": value})
