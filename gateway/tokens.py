"""Tokens of single users: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256, made and read with the stdlib. Pure.

    base64url({"alg":"HS256","typ":"JWT"}) . base64url({"sub":USER,"iat":…,"exp":…}) . base64url(HMAC-SHA256)

`sub` is the user, `exp` (Unix seconds) is required, `nbf` is honoured, other claims are ignored. Any other algorithm
is refused before anything else of the token is believed. Whoever holds the secret can issue tokens, with any library.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

import msgspec

from gateway.errors import Unauthorized
from storage.errors import InvalidRequest
from storage.layout.address import check_id

TOKEN_LENGTH_MAX = 4096
LEEWAY_S = 30.0


class _Header(msgspec.Struct):
    alg: str
    crit: Any = None


class _Claims(msgspec.Struct):
    sub: str
    exp: int | float
    nbf: int | float = 0


_HEADER = msgspec.json.Decoder(_Header)
_CLAIMS = msgspec.json.Decoder(_Claims)


def user_token_key(token: str | None, secret: str | None) -> bytes | None:
    """Key for users' tokens: the secret given for it, else one derived from the service token, else none."""
    if secret is not None:
        return secret.encode()
    if token is not None:
        return hmac.digest(token.encode(), b"holdfast user tokens", hashlib.sha256)
    return None


def sign_user_token(user: str, *, key: bytes, now: float, lifetime_s: float) -> str:
    """A token that lets its bearer act as `user` until `now + lifetime_s` (Unix seconds). Raises InvalidId."""
    claims = {"sub": check_id(user, "user"), "iat": int(now), "exp": int(now + lifetime_s)}
    signed = b".".join(_encode(msgspec.json.encode(part)) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return b".".join((signed, _encode(hmac.digest(key, signed, hashlib.sha256)))).decode()


def verify_user_token(token: str, *, key: bytes, now: float) -> str:
    """The user the token speaks for, or `Unauthorized` (which does not repeat the token)."""
    if len(token) > TOKEN_LENGTH_MAX or token.count(".") != 2:
        raise Unauthorized("the token is neither the service's nor a user's")
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    try:
        head = _HEADER.decode(_decode(header))
        if head.alg != "HS256" or head.crit is not None:
            raise Unauthorized("user token: expected the algorithm HS256 and no critical extensions")
        if not hmac.compare_digest(_decode(signature), hmac.digest(key, signed.encode(), hashlib.sha256)):
            raise Unauthorized("user token: the signature is not ours")
        claims = _CLAIMS.decode(_decode(payload))
        user = check_id(claims.sub, "user")
    except (ValueError, binascii.Error, msgspec.MsgspecError, InvalidRequest) as error:
        raise Unauthorized("user token: malformed") from error
    if now > claims.exp + LEEWAY_S:
        raise Unauthorized("user token: expired")
    if now < claims.nbf - LEEWAY_S:
        raise Unauthorized("user token: not valid yet")
    return user


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
