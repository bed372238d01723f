"""One request on the short way: its call to the actor, and the answer that the connection then sends.

It counts as in flight, holds its part of the bodies' budget, and is recorded once, as on the long way. It also stands
where uvicorn keeps the request under way (`cycle`), so that pipelined requests wait for it and a stop tells it to
close its connection. What uvicorn cancels when its patience with a stop ends is the awaited answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, MutableSet
from dataclasses import dataclass
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import HEADER_VALUE_RE

from actors.call import Op, Reply
from gateway.asgi import Headers
from gateway.body import BodyBudget
from gateway.context import own_headers, request_id_of
from gateway.metrics import GatewayMetrics
from gateway.problems import Problem, problem, problem_of
from gateway.request_record import RequestRecords
from gateway.rest.answer import reply_headers
from gateway.rest.database import MODE_ACTOR, Databases
from gateway.router import Begun, DirectRouter
from storage.errors import HoldfastError
from storage.layout.address import Address

STATUS_CLIENT_GONE = 499

log = logging.getLogger(__name__)


class Connection(Protocol):
    """Where a request came from."""

    @property
    def waiting(self) -> MutableSet[Any]:
        """What a stop waits for, and cancels when that takes too long."""
        ...

    def answer(self, status: int, headers: Headers, body: bytes, *, keep_alive: bool) -> None:
        """Send the whole answer of the request under way, if anybody is there, and go on with the next."""
        ...

    def break_off(self) -> None:
        """Close without an answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectParts:
    """What exchanges share."""

    router: DirectRouter
    databases: Databases
    metrics: GatewayMetrics
    bodies: BodyBudget
    records: RequestRecords
    requests_max: int
    random_bytes: Callable[[int], bytes]


class DirectExchange:
    """See the module. The words of the context mean what they mean in `gateway.context`."""

    __slots__ = (
        "_address",
        "_args",
        "_begun",
        "_body",
        "_connection",
        "_disconnected",
        "_given_id",
        "_parts",
        "_route",
        "_waiting",
        "code",
        "keep_alive",
        "mode",
        "mode_reason",
        "request_id",
        "response_complete",
        "started_at",
        "status",
    )
    # What else uvicorn touches of a request under way.
    disconnected = property(lambda self: self._disconnected, lambda self, value: None)
    message_event = asyncio.Event()

    def __init__(
        self,
        parts: DirectParts,
        address: Address,
        args: dict[str, object],
        *,
        route: str,
        reason: str,
        given_id: bytes | None,
        started_at: float,
    ) -> None:
        self._parts = parts
        self._address = address
        self._args = args
        self._route = route
        self._begun: Begun | None = None
        self._waiting: asyncio.Future[Reply] | None = None
        self._disconnected = False
        self._given_id = given_id
        self.request_id = ""
        self.started_at = started_at
        self.mode = MODE_ACTOR
        self.mode_reason = reason
        self.code = ""
        self.status = 0
        self.keep_alive = True
        self.response_complete = False

    @property
    def user(self) -> str:
        return self._address.user

    @property
    def profile(self) -> str:
        return self._address.profile

    def begin(self, connection: Connection, body: bytes, *, keep_alive: bool) -> bool:
        """Send the call on its way. False: it has to go the long way, and nothing has happened."""
        parts = self._parts
        metrics, bodies = parts.metrics, parts.bodies
        if metrics.in_flight >= parts.requests_max or bodies.held + len(body) > bodies.bytes_max:
            return False
        begun = parts.router.begin(self._address, Op.SQL, self._args, body)
        if begun is None:
            return False
        self.request_id = request_id_of(self._given_id, parts.random_bytes)
        metrics.in_flight += 1
        bodies.held += len(body)
        self._connection, self._body, self.keep_alive = connection, body, keep_alive
        self._begun = begun
        self._wait_for(begun.answer)
        return True

    def disconnect(self) -> None:
        """The client is gone: nobody waits for the answer any more."""
        self._disconnected = True
        if self._waiting is not None:
            self._waiting.cancel()

    def _wait_for(self, answer: asyncio.Future[Reply]) -> None:
        self._waiting = answer
        self._connection.waiting.add(answer)
        answer.add_done_callback(self._on_answer)

    def _on_answer(self, answer: asyncio.Future[Reply]) -> None:
        self._connection.waiting.discard(answer)
        if answer.cancelled():
            self._give_up()
            return
        error, begun = answer.exception(), self._begun
        self._begun = None
        if error is None:
            self._send_reply(answer.result())
        elif not isinstance(error, HoldfastError):
            self._fail("internal", error)
        elif begun is not None:
            self._wait_for(asyncio.get_running_loop().create_task(self._go_on(error)))
        else:
            self.code = error.code
            self._send_problem(problem_of(error, self.request_id))

    async def _go_on(self, error: HoldfastError) -> Reply:
        """The first failure is not always the answer: the long way goes on from here."""
        parts, call = self._parts, (self._address, Op.SQL, self._args, self._body)
        try:
            return await parts.router.go_on(error, *call)
        except HoldfastError as last:
            return await parts.databases.after_failure(self, *call, last, found=True)

    def _give_up(self) -> None:
        """Cancelled, by a client that left or by a stop that waits no longer. The statement may have run."""
        if self._begun is not None:
            self._begun.abandon()
        if self._disconnected:
            self._send(STATUS_CLIENT_GONE, [], b"")
            return
        self.code = "outcome_unknown"
        self._send_problem(problem(self.code, "the gateway stopped before the answer came", self.request_id))

    def _send_reply(self, reply: Reply) -> None:
        if reply.stream is not None:
            self._fail("internal", TypeError("a stream is no answer to sql"))
            return
        headers = reply_headers(reply)
        if reply.headers and any(HEADER_VALUE_RE.search(value) for _, value in headers):
            self.code = "internal"
            log.error("an answer has a header that HTTP does not allow", extra={"request_id": self.request_id})
            self._end(200)
            self._connection.break_off()
            return
        self._send(200, headers, reply.body)

    def _fail(self, code: str, error: BaseException) -> None:
        self.code = code
        log.error("unforeseen error", exc_info=error, extra={"request_id": self.request_id, "route": self._route})
        self._send_problem(problem(code, "see the log under this request id", self.request_id))

    def _send_problem(self, found: Problem) -> None:
        self._send(found.status, found.headers, found.body)

    def _send(self, status: int, headers: Headers, body: bytes) -> None:
        self._end(status)
        headers += own_headers(self)
        self._connection.answer(status, headers, body, keep_alive=self.keep_alive)

    def _end(self, status: int) -> None:
        """Nothing is held any more, and the record is written."""
        parts, body_bytes = self._parts, len(self._body)
        self.status = status
        self._body, self._waiting = b"", None  # an idle connection keeps neither
        parts.metrics.in_flight -= 1
        parts.bodies.held -= body_bytes
        self.response_complete = True
        parts.records.add(self, method="POST", route=self._route, bytes_in=body_bytes)
