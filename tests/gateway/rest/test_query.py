"""Query strings, read strictly."""

from __future__ import annotations

import pytest

from gateway.rest.query import boolean_field, choice_field, query_fields, seconds_field
from storage.errors import InvalidRequest


def test_fields_are_decoded() -> None:
    assert query_fields(b"a=1%202&b=", ("a", "b", "c")) == {"a": "1 2", "b": ""}
    assert query_fields(b"", ()) == {}


@pytest.mark.parametrize(
    "query", [b"d=1", b"a=1&a=1", b"a=1&a=2", b"A=1", b"a=%ff", b"\xff=1", b"a" * 5000, b"&".join([b"a=1"] * 20)]
)
def test_unknown_repeated_and_broken_ones_are_refused(query: bytes) -> None:
    with pytest.raises(InvalidRequest, match="query"):
        query_fields(query, ("a", "b"))


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_booleans(text: str, value: bool) -> None:
    assert boolean_field({"x": text}, "x") is value
    assert boolean_field({}, "x") is False


@pytest.mark.parametrize("text", ["", "yes", "True", "2"])
def test_other_booleans_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        boolean_field({"x": text}, "x")


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "61", "1e9", "x", "1,5"])
def test_seconds_out_of_bounds_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        seconds_field({"t": text}, "t", default=10, most=60)


def test_seconds_within_bounds() -> None:
    assert seconds_field({"t": "2.5"}, "t", default=10, most=60) == 2.5
    assert seconds_field({"t": "0"}, "t", default=10, most=60) == 0
    assert seconds_field({}, "t", default=10, most=60) == 10


def test_choices() -> None:
    assert choice_field({"s": "b"}, "s", ("a", "b"), "a") == "b"
    assert choice_field({}, "s", ("a", "b"), "a") == "a"
    with pytest.raises(InvalidRequest, match="a, b"):
        choice_field({"s": "c"}, "s", ("a", "b"), "a")
