"""Who is calling: the bearer token of a request, compared in constant time, as a `Principal`. Pure.

open      no token is configured: the service listens on loopback only (`check_bind`), everybody is let in
service   the service token: every user's paths
user      a signed user token: the paths of its subject, and nothing else
"""

from __future__ import annotations

import functools
import hmac
import ipaddress
from dataclasses import dataclass
from typing import Literal

from gateway.errors import BindRefused, Unauthorized
from gateway.tokens import user_token_key, verify_user_token


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller; `subject` is the user of a user token."""

    kind: Literal["open", "service", "user"]
    subject: str | None = None


OPEN = Principal("open")
SERVICE = Principal("service")


class Authenticator:
    """Checks `Authorization` headers against the tokens of the settings."""

    def __init__(self, *, token: str | None, user_token_secret: str | None) -> None:
        self._token = token.encode() if token is not None else None
        self._user_key = user_token_key(token, user_token_secret)

    def authenticate(self, authorization: bytes | None, *, now: float) -> Principal:
        """The caller; `now` in Unix seconds. Raises Unauthorized."""
        if self._user_key is None:
            return OPEN
        if authorization is None:
            raise Unauthorized("no token: send `Authorization: Bearer …`")
        scheme, _, credentials = authorization.partition(b" ")
        credentials = credentials.strip()
        if scheme.lower() != b"bearer" or not credentials:
            raise Unauthorized("expected `Authorization: Bearer …`")
        if self._token is not None and hmac.compare_digest(credentials, self._token):
            return SERVICE
        return Principal("user", verify_user_token(credentials.decode("latin-1"), key=self._user_key, now=now))


def check_bind(host: str, *, guarded: bool) -> None:
    """Raise `BindRefused` when a service without any token would listen beyond this machine.

    Names other than `localhost` are refused without a token, because what they resolve to can change.
    """
    if guarded or is_loopback(host):
        return
    raise BindRefused(f"binding to {host!r} needs a token (HOLDFAST_TOKEN): without one only loopback is served")


@functools.lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host name or address (IPv6 with or without brackets) is this machine's loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
