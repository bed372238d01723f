"""Tables for people."""

from __future__ import annotations

from holdfast.table import CELL_WIDTH_MAX, format_cell, format_table


def test_numbers_stand_right_and_text_left() -> None:
    assert format_table(("n", "word"), [(1, "a"), (100, "bcd")]).splitlines() == [
        "  n  word",
        "---  ----",
        "  1  a",
        "100  bcd",
    ]


def test_a_row_is_one_line_whatever_its_text_holds() -> None:
    assert format_cell("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert len(format_cell("x" * 500)) == CELL_WIDTH_MAX


def test_blobs_and_null_are_named() -> None:
    assert format_cell({"base64": "AAAA"}) == "<blob, 3 bytes>"
    assert format_cell(None) == "NULL"


def test_nothing_is_printed_without_columns() -> None:
    assert format_table((), []) == ""
