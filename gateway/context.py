"""What the gateway knows about one request while it is under way, kept in its ASGI scope."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from gateway.asgi import Headers, Scope
from gateway.auth import OPEN, Principal
from gateway.body import BoundedBody
from gateway.identity import Claims, claims_of
from storage.errors import InvalidRequest

SCOPE_KEY = "holdfast"
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}\Z")
_SINGLE = frozenset(
    {b"authorization", b"content-length", b"host", b"origin", b"holdfast-durability", b"idempotency-key"}
)


class RequestContext:
    """One request: its id, headers, caller, bounded body, and what is found out about it on the way.

    `route` is the route's template for metrics and logs, `mode` how the user is served and `mode_reason` why, `status`
    what was answered (0 before) and `code` the error, `user` and `profile` whom it concerned.
    """

    __slots__ = (
        "body",
        "code",
        "headers",
        "mode",
        "mode_reason",
        "principal",
        "profile",
        "request_id",
        "route",
        "started_at",
        "status",
        "user",
    )

    def __init__(
        self, *, request_id: str, headers: Mapping[bytes, bytes], body: BoundedBody, started_at: float
    ) -> None:
        self.request_id = request_id
        self.headers = headers
        self.body = body
        self.started_at = started_at
        self.principal: Principal = OPEN
        self.route = ""
        self.mode = ""
        self.mode_reason = ""
        self.code = ""
        self.status = 0
        self.user = ""
        self.profile = ""

    def header(self, name: bytes) -> str | None:
        """A header's value as text."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def claims(self, *, header_name: bytes, cookie_name: str) -> Claims:
        """What the request says about its user."""
        return claims_of(self.headers, self.principal.subject, header_name=header_name, cookie_name=cookie_name)


def context_of(scope: Scope) -> RequestContext:
    """The context that the edge put into the scope."""
    context: RequestContext = scope[SCOPE_KEY]
    return context


class Named(Protocol):
    """A request whose answer is sent; the words mean what they mean in `RequestContext`."""

    request_id: str
    mode: str
    mode_reason: str


def own_headers(request: Named) -> Headers:
    """The headers that the gateway adds to every answer."""
    headers = [(b"x-request-id", request.request_id.encode())]
    if request.mode:
        headers.append((b"holdfast-mode", request.mode.encode()))
        if request.mode_reason:
            headers.append((b"holdfast-mode-reason", request.mode_reason.encode()))
    return headers


def request_id_of(given: bytes | None, random_bytes: Callable[[int], bytes]) -> str:
    """The id that the client gave, if it can be one, else a new one."""
    if given is not None and REQUEST_ID.match(given):
        return given.decode()
    return random_bytes(8).hex()


def single_headers(headers: list[tuple[bytes, bytes]], user_header: bytes) -> dict[bytes, bytes]:
    """Headers by name. One that decides who or what a request is may come once only: `InvalidRequest` otherwise."""
    by_name = dict(headers)
    if len(by_name) != len(headers):
        seen: set[bytes] = set()
        for name, _ in headers:
            if name in seen and (name in _SINGLE or name == user_header):
                raise InvalidRequest(f"header {name.decode('latin-1')}: given more than once")
            seen.add(name)
    return by_name
