"""`holdfast costs`."""

from __future__ import annotations

import json

import pytest

from holdfast.commands.costs import parse_size
from storage.errors import InvalidRequest
from tests.holdfast.cli import holdfast


def test_both_modes_the_break_even_and_the_prices_are_shown() -> None:
    outcome = holdfast("costs", "--size", "1MB", "--requests", "100", "--writes", "0.2")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[2].split()[:4] == ["r2", "mode", "600000", "3000000"]
    assert lines[3].startswith("actors")
    assert "an actor costs less from " in outcome.out
    assert "Durable Objects at $0.20/GB" in outcome.out
    assert "$4.50 and $0.36 per million operations" in outcome.out


def test_the_answer_as_json() -> None:
    found = json.loads(holdfast("costs", "--json", "--users", "1", "--writes", "0").out)
    assert found["r2_dollars_month"] == pytest.approx(0.001 * 0.015 + 3000 * 0.36e-6)


def test_sizes_are_decimal() -> None:
    assert [parse_size(text) for text in ("512", "1.5MB", "2 gb", "10K")] == [512, 1.5e6, 2e9, 1e4]
    with pytest.raises(InvalidRequest):
        parse_size("1 MiB")


def test_wrong_usage_is_one_line_and_code_2() -> None:
    assert holdfast("costs", "--writes", "2").code == 2
    assert holdfast("costs", "--users", "0").code == 2
