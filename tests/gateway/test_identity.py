"""Whose database a request means."""

from __future__ import annotations

import itertools

import pytest

from gateway.errors import UserMismatch, UserRequired
from gateway.identity import Claims, cookie_value, identify
from storage.layout.address import InvalidId

CHOICES = (None, "alice", "bob")


@pytest.mark.parametrize("claims", [Claims(*values) for values in itertools.product(CHOICES, repeat=3)], ids=str)
@pytest.mark.parametrize("path_user", CHOICES)
def test_all_that_name_a_user_must_agree(claims: Claims, path_user: str | None) -> None:
    named = {name for name in (path_user, claims.subject, claims.header, claims.cookie) if name is not None}
    if len(named) == 1:
        assert {identify(claims, path_user)} == named
    elif named:
        with pytest.raises(UserMismatch):
            identify(claims, path_user)
    else:
        with pytest.raises(UserRequired):
            identify(claims, path_user)


@pytest.mark.parametrize("user", ["", "..", "../x", "a/b", "me", "users", "dev", "a" * 129, "ä", "a b", ".a", "a\n"])
def test_invalid_and_reserved_ids_are_refused(user: str) -> None:
    with pytest.raises(InvalidId):
        identify(Claims(), user)
    with pytest.raises(InvalidId):
        identify(Claims(header=user), None)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("user_id=alice", "alice"),
        ("a=b; user_id=alice; c=d", "alice"),
        ('user_id="alice"', "alice"),
        ("user_id=alice; user_id=bob", "alice"),
        ("xuser_id=bob", None),
        ("user_id", None),
        ("", None),
    ],
)
def test_cookie_is_found_by_its_whole_name(header: str, found: str | None) -> None:
    assert cookie_value(header, "user_id") == found
