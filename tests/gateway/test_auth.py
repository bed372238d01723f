"""Who is let in, and where a service without a token may listen."""

from __future__ import annotations

import pytest

from gateway.auth import OPEN, SERVICE, Authenticator, Principal, check_bind
from gateway.errors import BindRefused, Unauthorized
from gateway.tokens import sign_user_token, user_token_key

NOW = 1_800_000_000.0


def test_without_tokens_everybody_is_let_in() -> None:
    assert Authenticator(token=None, user_token_secret=None).authenticate(None, now=NOW) is OPEN


@pytest.mark.parametrize("header", [b"Bearer s3cret", b"bearer s3cret", b"BEARER  s3cret "])
def test_service_token_is_recognised(header: bytes) -> None:
    assert Authenticator(token="s3cret", user_token_secret=None).authenticate(header, now=NOW) is SERVICE


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic s3cret",
        b"s3cret",
        b"Bearer s3cre",
        b"Bearer s3crett",
        b"Bearer \xff.\xff.\xff",
    ],
)
def test_anything_else_is_refused(header: bytes | None) -> None:
    with pytest.raises(Unauthorized):
        Authenticator(token="s3cret", user_token_secret=None).authenticate(header, now=NOW)


@pytest.mark.parametrize(("token", "secret"), [("s3cret", None), ("s3cret", "other"), (None, "other")])
def test_user_tokens_are_let_in_as_their_user(token: str | None, secret: str | None) -> None:
    key = user_token_key(token, secret)
    assert key is not None
    signed = sign_user_token("alice", key=key, now=NOW, lifetime_s=60)
    authenticator = Authenticator(token=token, user_token_secret=secret)
    assert authenticator.authenticate(f"Bearer {signed}".encode(), now=NOW) == Principal("user", "alice")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    check_bind(host, guarded=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.7", "example.org", "localhost.example.org", "127.1"])
def test_anything_but_loopback_is_refused_without_a_token(host: str) -> None:
    with pytest.raises(BindRefused, match="HOLDFAST_TOKEN"):
        check_bind(host, guarded=False)
    check_bind(host, guarded=True)
