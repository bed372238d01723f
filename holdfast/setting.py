"""One setting: the variable that sets it, how its text is read, how its value is shown.

Settings are found by reflection over the frozen dataclasses of each floor: field `ttl_s` is `HOLDFAST_TTL_S`, and a
field that holds another dataclass is flattened. So a new field is a new setting, and nothing is listed twice.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from storage.errors import InvalidRequest

PREFIX = "HOLDFAST_"
SECRET_FIELDS = frozenset({"token", "secret", "presign_secret", "link_secret", "user_token_secret", "api_token"})
MASK = "********"

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class SettingError(InvalidRequest):
    """A setting whose value cannot be used. The message begins with the variable's name."""

    code = "invalid_setting"


@dataclass(frozen=True, slots=True)
class Setting:
    """`section` and `path` say which field it fills; `kind` is the field's type."""

    variable: str
    section: str
    path: tuple[str, ...]
    kind: object
    default: object

    @property
    def secret(self) -> bool:
        return self.path[-1] in SECRET_FIELDS

    def parse(self, text: str) -> object:
        """The value that `text` stands for, or `SettingError`."""
        try:
            return _parse(text.strip(), self.kind)
        except ValueError as error:
            shown = MASK if self.secret else repr(text)
            raise SettingError(f"{self.variable} is {shown}: expected {error}") from error

    def show(self, value: object) -> str:
        """The value as one would write it into the environment; secrets masked."""
        if self.secret and value:
            return MASK
        return show_value(value)

    def expects(self) -> str:
        """The kind of value in a few words."""
        return _expectation(self.kind)


def settings_of(section: str, defaults: object) -> Iterator[Setting]:
    """Every setting of a dataclass instance, nested ones included, in the order of its fields."""
    yield from _walk(section, defaults, ())


def show_value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple | list | frozenset):
        return ",".join(sorted(map(str, value)) if isinstance(value, frozenset) else map(str, value))
    if isinstance(value, float):
        return f"{value:g}" if value < 1e6 else f"{value:.0f}"
    return str(value)


def _walk(section: str, values: object, path: tuple[str, ...]) -> Iterator[Setting]:
    if not dataclasses.is_dataclass(values) or isinstance(values, type):
        raise TypeError(f"settings of {section}: expected a dataclass instance, found {values!r}")
    kinds = typing.get_type_hints(type(values))
    for item in dataclasses.fields(values):
        value = getattr(values, item.name)
        if dataclasses.is_dataclass(value):
            yield from _walk(section, value, (*path, item.name))
        else:
            variable = PREFIX + item.name.upper()
            yield Setting(variable, section, (*path, item.name), kinds[item.name], value)


def _parse(text: str, kind: object) -> object:
    """ValueError says what was expected."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        inner = [part for part in typing.get_args(kind) if part is not type(None)]
        return None if text == "" else _parse(text, inner[0])
    if origin is typing.Literal:
        choices = {str(choice): choice for choice in typing.get_args(kind)}
        return _choose(text, choices)
    if origin in (tuple, frozenset, list):
        parts = [_parse(part.strip(), typing.get_args(kind)[0]) for part in text.split(",") if part.strip()]
        return tuple(parts) if origin is tuple else origin(parts)
    if isinstance(kind, type):
        return _parse_plain(text, kind)
    raise TypeError(f"no setting can have the type {kind!r}")


def _parse_plain(text: str, kind: type) -> object:
    if issubclass(kind, Enum):
        return _choose(text, {str(choice.value): choice for choice in kind})
    if kind is bool:
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(_expectation(kind))
        return text.lower() in _TRUE
    if kind in (int, float):
        try:
            number = kind(text)
        except ValueError as error:
            raise ValueError(_expectation(kind)) from error
        if number != number or number in (float("inf"), float("-inf")):
            raise ValueError(_expectation(kind))
        return typing.cast(object, number)
    if kind is Path:
        if not text:
            raise ValueError(_expectation(kind))
        return Path(text)
    if kind is str:
        return text
    raise TypeError(f"no setting can have the type {kind!r}")


def _choose(text: str, choices: dict[str, typing.Any]) -> object:
    if text not in choices:
        raise ValueError("one of " + ", ".join(choices))
    return choices[text]


def _expectation(kind: object) -> str:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        inner = [part for part in typing.get_args(kind) if part is not type(None)]
        return _expectation(inner[0]) + ", or nothing"
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(kind)))
    if origin in (tuple, frozenset, list):
        return f"{_expectation(typing.get_args(kind)[0])}, several separated by commas"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(str(choice.value) for choice in kind)
    names: dict[object, str] = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        Path: "a path",
    }
    return names[kind]
