"""Answers as JSON bytes."""

from __future__ import annotations

import msgspec
import pytest

from actors.database.answer import decode_shape, encode_answer
from storage.errors import InvalidRequest
from tests.actors.database.factory import a_batch, a_database


def test_an_answer_holds_each_result_the_bookmark_and_the_durability() -> None:
    database = a_database("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    batch = a_batch("INSERT INTO t(a) VALUES('x'), ('y')", "SELECT * FROM t", "SELECT * FROM t WHERE 0")
    encoded = encode_answer(database.execute(batch), bookmark="1-2-3", durability="local")
    assert msgspec.json.decode(encoded) == {
        "results": [
            {"columns": [], "rows": [], "changes": 2, "last_insert_rowid": 2},
            {"columns": ["id", "a"], "rows": [[1, "x"], [2, "y"]], "changes": 0, "last_insert_rowid": None},
            {"columns": ["id", "a"], "rows": [], "changes": 0, "last_insert_rowid": None},
        ],
        "bookmark": "1-2-3",
        "durability": "local",
    }


def test_rows_as_objects_let_the_last_of_equal_columns_win() -> None:
    result = a_database().execute(a_batch("SELECT 1 AS a, 2 AS b, 3 AS a, x'61' AS c"))
    answer = msgspec.json.decode(encode_answer(result, bookmark="", durability="r2", shape="objects"))
    assert answer["results"][0]["rows"] == [{"a": 3, "b": 2, "c": {"base64": "YQ=="}}]
    assert answer["results"][0]["columns"] == ["a", "b", "a", "c"]


def test_values_that_json_lacks_are_objects_in_both_shapes() -> None:
    result = a_database().execute(a_batch("SELECT 1e999 AS i, CAST(x'ff' AS TEXT) AS t"))
    arrays = msgspec.json.decode(encode_answer(result, bookmark="", durability="local"))
    assert arrays["results"][0]["rows"] == [[{"real": "Infinity"}, {"text_base64": "/w=="}]]


def test_shapes_are_two() -> None:
    assert [decode_shape(value) for value in (None, "", "arrays", "objects")] == [
        "arrays",
        "arrays",
        "arrays",
        "objects",
    ]
    with pytest.raises(InvalidRequest, match="shape 'rows', expected arrays or objects"):
        decode_shape("rows")
