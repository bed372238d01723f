"""The first and last of the gateway that a request meets: one ASGI layer around everything else.

Coming in: a request id, the bound on requests in flight, who calls, the bound on the body. Going out: the id as a
header, errors as problem+json, one log line, the metrics. An error nobody foresaw becomes a 500 without its trace,
which goes to the log under the same request id. Hot routes are answered from here, past the framework's router.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.asgi import App, Message, Receive, Scope, Send
from gateway.auth import Authenticator
from gateway.body import BodyBudget, BoundedBody
from gateway.context import SCOPE_KEY, RequestContext, own_headers, request_id_of, single_headers
from gateway.errors import Busy, ClientGone, Forbidden, OriginRefused
from gateway.metrics import GatewayMetrics
from gateway.origins import host_allowed, origin_allowed
from gateway.parts import GatewayParts
from gateway.problems import Problem, problem, problem_of
from gateway.request_record import RequestRecords
from storage.errors import HoldfastError

HotRoute = Callable[[Scope], App | None]

PUBLIC_PATHS = frozenset({"/healthz", "/readyz"})
PRESIGNED_PREFIX = "/v1/objects/"
USER_PREFIXES = ("/v1/users/", "/v1/me/", PRESIGNED_PREFIX)
READING = frozenset({"GET", "HEAD", "OPTIONS"})
UNMATCHED = "unmatched"
STATUS_CLIENT_GONE = 499
METHODS = READING | {"POST", "PUT", "PATCH", "DELETE"}

log = logging.getLogger(__name__)


class Edge:
    """ASGI middleware. `hot` finds the endpoint of a request that goes past the router, or None."""

    def __init__(
        self,
        app: App,
        *,
        parts: GatewayParts,
        metrics: GatewayMetrics,
        records: RequestRecords,
        bodies: BodyBudget,
        hot: HotRoute,
    ) -> None:
        self._app = app
        self._hot = hot
        self._clock = parts.clock
        self._settings = settings = parts.settings
        self._random_bytes = parts.random_bytes
        self._metrics = metrics
        self._records = records
        self._bodies = bodies
        self._guarded = settings.guarded
        self._authenticator = Authenticator(token=settings.token, user_token_secret=settings.user_token_secret)
        self._user_header = settings.user_header.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = self._open(scope, receive)
        answer = _Answer(context, send)
        self._metrics.in_flight += 1
        try:
            self._admit(scope, context)
            handler = self._hot(scope) or self._app
            await handler(scope, context.body.receive, answer.send)
        except ClientGone:
            context.status = STATUS_CLIENT_GONE
        except asyncio.CancelledError:
            await answer.give_up(scope["method"])
        except HoldfastError as error:
            context.code = error.code
            await answer.fail(problem_of(error, context.request_id), error)
        except Exception as error:
            context.code = "internal"
            log.exception("unforeseen error", extra={"request_id": context.request_id, "route": context.route})
            await answer.fail(problem("internal", "see the log under this request id", context.request_id), error)
        finally:
            self._metrics.in_flight -= 1
            context.body.release()
            self._close(scope, context)

    def _open(self, scope: Scope, receive: Receive) -> RequestContext:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length")
        context = RequestContext(
            request_id=request_id_of(headers.get(b"x-request-id"), self._random_bytes),
            headers=headers,
            body=BoundedBody(
                receive,
                declared=int(length) if length is not None and length.isdigit() else None,
                bytes_max=self._settings.small_body_bytes_max,
                idle_s=self._settings.body_idle_s,
                budget=self._bodies,
            ),
            started_at=self._clock.now(),
        )
        scope[SCOPE_KEY] = context
        return context

    def _admit(self, scope: Scope, context: RequestContext) -> None:
        """Raise unless the request may go on."""
        path = scope["path"]
        if path in PUBLIC_PATHS:
            return
        if self._metrics.in_flight > self._settings.requests_max:
            raise Busy(f"{self._settings.requests_max} requests are in flight", retry_after_s=1)
        context.headers = single_headers(scope["headers"], self._user_header)
        if path.startswith(PRESIGNED_PREFIX):
            return  # the link's own signature is the permission
        if not self._guarded:
            self._check_browser(scope["method"], context)
            return
        authorization = context.headers.get(b"authorization")
        context.principal = self._authenticator.authenticate(authorization, now=self._clock.wall())
        if context.principal.subject is not None and not path.startswith(USER_PREFIXES):
            raise Forbidden("a user token reaches the paths of its user only")

    def _check_browser(self, method: str, context: RequestContext) -> None:
        """Without a token a page in a local browser could reach us: look where it comes from."""
        host, origin = context.header(b"host"), context.header(b"origin")
        if not host_allowed(host, self._settings.hosts_allowed):
            raise OriginRefused("without a token only loopback host names are answered (HOLDFAST_HOSTS_ALLOWED)")
        if method not in READING and not origin_allowed(origin, host, self._settings.cors_origins):
            raise OriginRefused("without a token pages of other origins may not write (HOLDFAST_CORS_ORIGINS)")

    def _close(self, scope: Scope, context: RequestContext) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = context.route or getattr(scope.get("route"), "path", UNMATCHED)
        self._records.add(context, method=method, route=route, bytes_in=context.body.received)


class _Answer:
    """Adds the gateway's headers to an answer, and knows whether it began."""

    __slots__ = ("_context", "_send")

    def __init__(self, context: RequestContext, send: Send) -> None:
        self._context = context
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._context.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *own_headers(self._context)]
        await self._send(message)

    async def fail(self, found: Problem, error: Exception) -> None:
        """Answer with a problem; or, when an answer has begun, break it off where the client can see it."""
        if self._context.status:
            log.warning("answer broken off: %s", error, extra={"request_id": self._context.request_id})
            raise AnswerBroken(str(error)) from error
        await self._send_problem(found)

    async def _send_problem(self, found: Problem) -> None:
        await self.send({"type": "http.response.start", "status": found.status, "headers": found.headers})
        await self.send({"type": "http.response.body", "body": found.body})

    async def give_up(self, method: str) -> None:
        """The server stops and waits no longer. A write may have run: only a reading is safe to send again."""
        if self._context.status:
            return
        safe = method in READING
        self._context.code = code = "stopping" if safe else "outcome_unknown"
        answer = problem(code, "the gateway stopped before the answer came", self._context.request_id, retryable=safe)
        await self._send_problem(answer)


class AnswerBroken(Exception):
    """An answer that began could not be finished: the server closes the connection instead of ending the body."""
