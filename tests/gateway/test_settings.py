"""Settings that cannot work are refused by name."""

from __future__ import annotations

import pytest

from gateway.settings import GatewaySettings
from storage.errors import InvalidRequest


def test_defaults_work_and_guard_nothing() -> None:
    assert GatewaySettings().validate().guarded is False


@pytest.mark.parametrize("fields", [{"token": "t"}, {"user_token_secret": "s"}])
def test_either_token_guards(fields: dict[str, str]) -> None:
    assert GatewaySettings(**fields).validate().guarded is True  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"token": ""},
        {"token": "a b"},
        {"token": "ä"},
        {"token": "a\n"},
        {"user_token_secret": ""},
        {"user_header": "X User"},
        {"user_header": ""},
        {"user_cookie": "a;b"},
        {"body_bytes_max": 0},
        {"selection_ttl_s": -1.0},
        {"cors_origins": ("app.example",)},
        {"cors_origins": ("http://app.example/",)},
    ],
)
def test_what_cannot_work_is_refused_by_name(fields: dict[str, object]) -> None:
    [name] = fields
    with pytest.raises(InvalidRequest, match=name):
        GatewaySettings(**fields).validate()  # type: ignore[arg-type]
