"""Settings of flags."""

from __future__ import annotations

import pytest

from storage.errors import InvalidRequest
from storage.flags.settings import FlagSettings

KV = {"backend": "workers_kv", "account_id": "a", "namespace_id": "n", "api_token": "t"}


def test_the_embedded_default_needs_nothing() -> None:
    FlagSettings().validate()


@pytest.mark.parametrize("name", ["account_id", "namespace_id", "api_token"])
@pytest.mark.parametrize("value", ["", "a b", "a/b", "é"])
def test_workers_kv_needs_account_namespace_and_token(name: str, value: str) -> None:
    FlagSettings(**KV).validate()  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=name):
        FlagSettings(**{**KV, name: value}).validate()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["timeout_s", "attempts_max", "ttl_s", "users_max"])
def test_every_bound_is_above_zero(name: str) -> None:
    with pytest.raises(InvalidRequest, match=name):
        FlagSettings(**{name: 0}).validate()  # type: ignore[arg-type]


def test_the_apis_address_is_a_url() -> None:
    with pytest.raises(InvalidRequest, match="api_url"):
        FlagSettings(**KV, api_url="ftp://x").validate()  # type: ignore[arg-type]
