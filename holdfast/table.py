"""Rows as aligned text, for people. Pure.

Numbers stand right, everything else left; control characters are escaped, long cells cut, so that a row is one line.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

CELL_WIDTH_MAX = 80


def format_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, cell_width_max: int = CELL_WIDTH_MAX
) -> str:
    """A header, a rule, one line per row; an empty text without columns."""
    if not columns:
        return ""
    cells = [[format_cell(value, width_max=cell_width_max) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    right = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(columns))]
    lines = [_line(columns, widths, right), "  ".join("-" * width for width in widths)]
    return "\n".join([*lines, *(_line(line, widths, right) for line in cells)])


def format_cell(value: object, *, width_max: int = CELL_WIDTH_MAX) -> str:
    """One value as a short piece of text: NULL, numbers, text, blobs by their size."""
    if value is None:
        return "NULL"
    if isinstance(value, dict) and set(value) == {"base64"}:
        return f"<blob, {len(str(value['base64'])) * 3 // 4} bytes>"
    text = value if isinstance(value, str) else json.dumps(value)
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if len(text) <= width_max else text[: width_max - 1] + "…"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(cells, widths, right, strict=True)
    ]
    return "  ".join(padded).rstrip()
