"""The short way of plain requests to `…/sql`: from the parsed head to a call on its way, without a task or ASGI.

`DirectSql` admits a request when everything about it is already known and right: who calls, whose database, that its
actor was found, that its host is linked. In any doubt it admits nothing and the request goes the long way
(`gateway.edge`), which refuses, looks up and waits; both ways use the same functions for what they share.
"""

from __future__ import annotations

from gateway.auth import Authenticator
from gateway.identity import claims_of, meant_user
from gateway.origins import host_allowed
from gateway.rest.direct_exchange import DirectExchange, DirectParts
from gateway.rest.direct_request import DirectRequest, direct_request
from gateway.rest.services import Services
from gateway.router import DirectRouter
from storage.errors import HoldfastError
from storage.layout.address import Address

BODY_BYTES_MAX = 64 << 10
Headers = list[tuple[bytes, bytes]]


class DirectSql:
    """One per application, for all its connections. Made by `direct_sql`."""

    def __init__(self, services: Services, router: DirectRouter) -> None:
        settings = services.parts.settings
        self._settings = settings
        self._clock = services.parts.clock
        self._directory = services.directory
        self._modes = services.modes
        self._authenticator = Authenticator(token=settings.token, user_token_secret=settings.user_token_secret)
        self._guarded = settings.guarded
        self._user_header = settings.user_header.lower().encode()
        self._body_bytes_max = min(BODY_BYTES_MAX, settings.body_bytes_max)
        self._exchanges = DirectParts(
            router=router,
            databases=services.databases,
            metrics=services.metrics,
            bodies=services.bodies,
            records=services.records,
            requests_max=settings.requests_max,
            random_bytes=services.parts.random_bytes,
        )

    def admit(self, method: bytes, version: str, url: bytes, headers: Headers) -> DirectExchange | None:
        """The exchange of a request whose head this is, not begun yet; None: the long way. Never raises."""
        request = direct_request(
            method,
            version,
            url,
            headers,
            body_bytes_max=self._body_bytes_max,
            key_length_max=self._settings.idempotency_key_length_max,
        )
        if request is None:
            return None
        try:
            address = self._address(request)
        except HoldfastError:
            return None
        if address is None:
            return None
        reason = "" if self._modes is None else self._modes.actors_found.get(address)
        if reason is None:
            return None
        return DirectExchange(
            self._exchanges,
            address,
            request.args,
            route=f"{request.target.shape}/sql",
            reason=reason,
            given_id=request.headers.get(b"x-request-id"),
            started_at=self._clock.now(),
        )

    def _address(self, request: DirectRequest) -> Address | None:
        """The address an allowed request means; None if it is not known here. Raises as the long way would."""
        headers = request.headers
        subject = None
        if self._guarded:
            principal = self._authenticator.authenticate(headers.get(b"authorization"), now=self._clock.wall())
            subject = principal.subject
        else:
            host = headers.get(b"host")
            if not host_allowed(None if host is None else host.decode("latin-1"), self._settings.hosts_allowed):
                return None
        claims = claims_of(headers, subject, header_name=self._user_header, cookie_name=self._settings.user_cookie)
        return self._directory.cached(meant_user(claims, request.target.user), request.target.profile)


def direct_sql(services: Services) -> DirectSql | None:
    """None where every request has to go the long way: the router cannot begin calls, or pages of other origins are
    served (their answers need headers that the layer around the edge adds)."""
    router = services.parts.router
    if services.parts.settings.cors_origins or not isinstance(router, DirectRouter):
        return None
    return DirectSql(services, router)
