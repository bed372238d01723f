"""uvicorn's httptools protocol with the bounds it lacks, and its own refusals as problem+json.

Bounded here: connections, the size of a request's head (complete or still arriving) and the time it may take to
arrive. A request that the parser refuses (two Content-Lengths, say) never reaches the application.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.problems import problem
from gateway.settings import GatewaySettings

HEAD_TIMEOUT_S = 30.0


class HeadTooLarge(Exception):
    """Raised inside the parser's callbacks to stop it."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `bounded_protocol` makes the class that has the settings' bounds."""

    head_bytes_max = 32 << 10
    connections_max = 4096
    head_timeout_s = HEAD_TIMEOUT_S

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_pending = False
        self._head_bytes = 0  # of earlier reads
        self._read_bytes = 0  # of the one under way
        self._head_too_large = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.connections_max:
            self._refuse("overloaded", f"{self.connections_max} connections are open", retryable=True)
            return
        # A client that connects and says nothing is closed like one that has nothing more to say.
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._read_bytes = len(data)
        super().data_received(data)
        if not self._head_pending or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > self.head_bytes_max:
            self._refuse_head()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self._head_timed_out)

    def on_message_begin(self) -> None:
        self.begin_head()
        super().on_message_begin()

    def begin_head(self) -> None:
        """A request's first byte has come."""
        self._head_pending = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._head_pending = False
        self._stop_head_timer()
        if self._head_bytes + self._read_bytes > self.head_bytes_max and self._head_is_too_large():
            self._head_too_large = True
            raise HeadTooLarge
        self.begin_request()

    def begin_request(self) -> None:
        """The request's head is complete and within its bounds: uvicorn takes it from here."""
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        if self._head_too_large:
            self._refuse_head()
        else:
            self._refuse("invalid_request", "the bytes sent are no HTTP/1.1 request")

    def _head_is_too_large(self) -> bool:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > self.head_bytes_max

    def _refuse_head(self) -> None:
        self._refuse("headers_too_large", f"the request's head has more than {self.head_bytes_max} bytes")

    def _head_timed_out(self) -> None:
        if not self.transport.is_closing():
            self._refuse("request_timeout", f"the request's head took more than {self.head_timeout_s:g} s")

    def _refuse(self, code: str, detail: str, *, retryable: bool = False) -> None:
        """Answer outside of any request, and close: what follows on this connection cannot be trusted."""
        request_id = os.urandom(8).hex()
        answer = problem(code, detail, request_id, retryable=retryable)
        head = [*answer.headers, (b"x-request-id", request_id.encode()), (b"connection", b"close")]
        lines = b"".join(b"%s: %s\r\n" % header for header in head)
        if not self.transport.is_closing():
            self.transport.write(STATUS_LINE[answer.status] + lines + b"\r\n" + answer.body)
            self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def bounded_protocol(settings: GatewaySettings) -> type[BoundedProtocol]:
    """The protocol with the bounds of `settings`."""
    return type("SettingsProtocol", (BoundedProtocol,), protocol_bounds(settings))


def protocol_bounds(settings: GatewaySettings) -> dict[str, Any]:
    """The attributes that hold the bounds of `settings`."""
    return {"head_bytes_max": settings.header_bytes_max, "connections_max": settings.connections_max}
