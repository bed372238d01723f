"""docs/errors.md lists the errors that the gateway knows."""

from __future__ import annotations

from pathlib import Path

from holdfast.errors_page import errors_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == errors_page(), "run `make docs`"
