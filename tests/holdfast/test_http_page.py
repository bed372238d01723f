"""docs/http.md lists the errors that the gateway knows."""

from __future__ import annotations

from pathlib import Path

from gateway.problems import TABLE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "http.md"


def test_the_error_table_is_current() -> None:
    documented = [
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "`" in line
    ]
    rows = {f"| {row.status} | `{code}` | {row.title.lower()} |" for code, row in TABLE.items()}
    assert {line for line in documented if line[2:5].isdigit()} == rows
