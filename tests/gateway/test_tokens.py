"""Tokens of single users."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Unauthorized
from gateway.tokens import LEEWAY_S, sign_user_token, user_token_key, verify_user_token
from storage.errors import InvalidRequest

KEY = b"k" * 32
NOW = 1_800_000_000.0


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def a_token(
    header: object = {"alg": "HS256", "typ": "JWT"},
    claims: object = {"sub": "alice", "exp": NOW + 60},
    key: bytes = KEY,
) -> str:
    signed = b64(msgspec.json.encode(header)) + "." + b64(msgspec.json.encode(claims))
    return signed + "." + b64(hmac.digest(key, signed.encode(), hashlib.sha256))


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}", fullmatch=True).filter(lambda user: user not in ("me",)))
def test_signed_token_speaks_for_its_user(user: str) -> None:
    try:
        token = sign_user_token(user, key=KEY, now=NOW, lifetime_s=60)
    except InvalidRequest:
        return
    assert verify_user_token(token, key=KEY, now=NOW) == user


def test_tokens_of_other_issuers_with_the_secret_are_taken() -> None:
    assert verify_user_token(a_token(claims={"sub": "bob", "exp": NOW + 1.5, "aud": "x"}), key=KEY, now=NOW) == "bob"


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    token = sign_user_token("alice", key=KEY, now=NOW, lifetime_s=60)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("AZaz09-_."))
    changed = token[:place] + letter + token[place + 1 :]
    if b64_same(changed, token):
        return
    with pytest.raises(Unauthorized):
        verify_user_token(changed, key=KEY, now=NOW)


def b64_same(left: str, right: str) -> bool:
    """Whether two tokens differ only in the bits that base64 ignores at the end of the signature."""
    if left.rpartition(".")[0] != right.rpartition(".")[0]:
        return False
    tails = [base64.urlsafe_b64decode(text.rpartition(".")[2] + "==") for text in (left, right)]
    return tails[0] == tails[1]


@pytest.mark.parametrize(
    ("token", "says"),
    [
        (a_token(key=b"other" * 8), "signature"),
        (a_token(header={"alg": "none"}), "HS256"),
        (a_token(header={"alg": "HS512"}), "HS256"),
        (a_token(header={"alg": "HS256", "crit": ["b64"]}), "critical"),
        (a_token(claims={"sub": "alice", "exp": NOW - LEEWAY_S - 1}), "expired"),
        (a_token(claims={"sub": "alice", "exp": NOW + 60, "nbf": NOW + LEEWAY_S + 1}), "not valid yet"),
        (a_token(claims={"sub": "alice"}), "malformed"),
        (a_token(claims={"sub": "../x", "exp": NOW + 60}), "malformed"),
        (a_token(claims={"sub": "me", "exp": NOW + 60}), "malformed"),
        (a_token(claims={"sub": 7, "exp": NOW + 60}), "malformed"),
        (a_token(claims=[]), "malformed"),
        ("a.b", "neither"),
        ("ä.ö.ü", "malformed"),
        ("..", "malformed"),
        ("a" * 5000 + "..", "neither"),
    ],
)
def test_other_tokens_are_refused_with_the_reason_and_without_the_token(token: str, says: str) -> None:
    with pytest.raises(Unauthorized, match=says) as refused:
        verify_user_token(token, key=KEY, now=NOW)
    assert token not in refused.value.message


def test_key_comes_from_the_secret_else_from_the_service_token() -> None:
    assert user_token_key("token", "secret") == b"secret"
    derived = user_token_key("token", None)
    assert derived is not None
    assert derived != b"token"
    assert user_token_key(None, None) is None
