"""One setting: text in, value out, and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest

from holdfast.setting import MASK, Setting, SettingError, settings_of


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    depth: int = 1


@dataclass(frozen=True)
class Outer:
    count: int = 2
    ratio: float = 0.5
    quick: bool = False
    where: Path = Path("x")
    colour: Colour = Colour.RED
    side: Literal["left", "right"] = "left"
    names: tuple[str, ...] = ("a",)
    token: str | None = None
    inner: Inner = field(default_factory=Inner)


def by_variable() -> dict[str, Setting]:
    return {setting.variable: setting for setting in settings_of("outer", Outer())}


def test_every_field_is_a_setting_and_nested_ones_are_flattened() -> None:
    assert [(name, setting.path) for name, setting in by_variable().items()][-2:] == [
        ("HOLDFAST_TOKEN", ("token",)),
        ("HOLDFAST_DEPTH", ("inner", "depth")),
    ]


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("HOLDFAST_COUNT", " 7 ", 7),
        ("HOLDFAST_COUNT", "1_000", 1000),
        ("HOLDFAST_RATIO", "2", 2.0),
        ("HOLDFAST_QUICK", "Yes", True),
        ("HOLDFAST_QUICK", "0", False),
        ("HOLDFAST_WHERE", "/a/b", Path("/a/b")),
        ("HOLDFAST_COLOUR", "red", Colour.RED),
        ("HOLDFAST_SIDE", "right", "right"),
        ("HOLDFAST_NAMES", "a, b,,c", ("a", "b", "c")),
        ("HOLDFAST_NAMES", "", ()),
        ("HOLDFAST_TOKEN", "t", "t"),
        ("HOLDFAST_TOKEN", "", None),
        ("HOLDFAST_DEPTH", "-1", -1),
    ],
)
def test_text_becomes_the_value_of_the_fields_type(variable: str, text: str, value: object) -> None:
    parsed = by_variable()[variable].parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("HOLDFAST_COUNT", "1.5", "HOLDFAST_COUNT is '1.5': expected a whole number"),
        ("HOLDFAST_RATIO", "inf", "HOLDFAST_RATIO is 'inf': expected a number"),
        ("HOLDFAST_RATIO", "nan", "HOLDFAST_RATIO is 'nan': expected a number"),
        ("HOLDFAST_QUICK", "maybe", "HOLDFAST_QUICK is 'maybe': expected true or false"),
        ("HOLDFAST_WHERE", "", "HOLDFAST_WHERE is '': expected a path"),
        ("HOLDFAST_COLOUR", "Red", "HOLDFAST_COLOUR is 'Red': expected one of red"),
        ("HOLDFAST_SIDE", "up", "HOLDFAST_SIDE is 'up': expected one of left, right"),
    ],
)
def test_wrong_text_is_one_line_that_names_the_variable(variable: str, text: str, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        by_variable()[variable].parse(text)
    assert caught.value.message == message


def test_a_secret_is_never_shown() -> None:
    setting = by_variable()["HOLDFAST_TOKEN"]
    assert setting.show("s3cret") == MASK
    assert setting.show(None) == ""


def test_a_shown_value_is_read_back() -> None:
    for name, value in (("HOLDFAST_RATIO", 2_592_000.0), ("HOLDFAST_NAMES", ("a", "b")), ("HOLDFAST_QUICK", True)):
        setting = by_variable()[name]
        assert setting.parse(setting.show(value)) == value
