"""One connection whose plain requests to `…/sql` take the short way; all others are uvicorn's as ever.

A plain request waits here for its body, for a moment only: what comes slower, meets a full budget or an unlinked host
is handed to uvicorn as if it had just arrived, and refused, timed or waited for there. So on the short way no request
is ever half received, and its only ends are an answer, a client that left, and a stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableSet
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.asgi import Headers
from gateway.http_protocol import BoundedProtocol, protocol_bounds
from gateway.rest.direct import DirectSql
from gateway.rest.direct_exchange import DirectExchange
from gateway.settings import GatewaySettings

BODY_PATIENCE_S = 0.05
# A head and a longer body are written one after the other: copying would cost more than the second write.
JOINED_BYTES_MAX = 64 << 10


class DirectProtocol(BoundedProtocol):
    """One connection. `direct_protocol` makes the class that has the settings' bounds."""

    direct: DirectSql
    body_patience_s = BODY_PATIENCE_S
    # The head lines of uvicorn's own (the date), by the list it keeps them in and replaces each second.
    _default_lines: tuple[object, bytes] = (None, b"")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pending: DirectExchange | None = None
        self._exchange: DirectExchange | None = None
        self._body_parts: list[bytes] = []
        self._patience: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None

    @property
    def waiting(self) -> MutableSet[Any]:
        """What a stop of the server waits for and, at the end of its patience, cancels."""
        return self.tasks

    def connection_lost(self, exc: Exception | None) -> None:
        if self._pending is not None:
            self._go_the_long_way()
        if self._exchange is not None and not self._exchange.response_complete:
            self._exchange.disconnect()
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._idle_since = self.loop.time()
        super().connection_made(transport)

    def _unset_keepalive_if_required(self) -> None:
        """Busy. The timer stays: to start and stop one for each request would cost more than what it is for."""
        self._idle_since = None

    def timeout_keep_alive_handler(self) -> None:
        """uvicorn's, once the connection has really been idle for so long."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return  # the end of the request under way starts it again
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def on_response_complete(self) -> None:
        """As uvicorn's, but for the timer."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def shutdown(self) -> None:
        if self._pending is not None:
            self._go_the_long_way()
        super().shutdown()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._pending is not None and self._patience is None:
            self._patience = self.loop.call_later(self.body_patience_s, self._go_the_long_way)

    def on_message_begin(self) -> None:
        self.begin_head()
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def begin_request(self) -> None:
        busy = self.cycle is not None and not self.cycle.response_complete
        if not busy and not self.flow.write_paused:
            method, version = self.parser.get_method(), self.parser.get_http_version()
            self._pending = self.direct.admit(method, version, self.url, self.headers)
        if self._pending is None:
            self._hand_over()

    def on_body(self, body: bytes) -> None:
        if self._pending is None:
            super().on_body(body)
        else:
            self._body_parts.append(body)

    def on_message_complete(self) -> None:
        pending, parts = self._pending, self._body_parts
        if pending is not None:
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            if pending.begin(self, body, keep_alive=self.parser.should_keep_alive()):
                self._forget_pending()
                self._exchange = pending
                self.cycle = pending  # type: ignore[assignment]
                return
            self._go_the_long_way()
        super().on_message_complete()

    def answer(self, status: int, headers: Headers, body: bytes, *, keep_alive: bool) -> None:
        """Send the whole answer of the request under way, if anybody is there, and go on with the next."""
        transport = self.transport
        if not transport.is_closing():
            self._write(status, headers, body, keep_alive=keep_alive)
            if not keep_alive:
                transport.close()
        self.on_response_complete()

    def break_off(self) -> None:
        """Close without an answer."""
        self.transport.close()
        self.on_response_complete()

    def _write(self, status: int, headers: Headers, body: bytes, *, keep_alive: bool) -> None:
        parts = [STATUS_LINE[status], self._defaults()]
        parts += [b"%b: %b\r\n" % header for header in headers]
        parts.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
        if len(body) <= JOINED_BYTES_MAX:
            parts.append(body)
            self.transport.write(b"".join(parts))
        else:
            self.transport.write(b"".join(parts))
            self.transport.write(body)

    def _defaults(self) -> bytes:
        headers = self.server_state.default_headers
        kept, lines = DirectProtocol._default_lines
        if kept is not headers:
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            DirectProtocol._default_lines = (headers, lines)
        return lines

    def _forget_pending(self) -> None:
        self._pending = None
        self._body_parts = []
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _go_the_long_way(self) -> None:
        """Hand the request to uvicorn with as much of its body as has come."""
        parts = self._body_parts
        self._forget_pending()
        self._hand_over()
        for part in parts:
            HttpToolsProtocol.on_body(self, part)

    def _hand_over(self) -> None:
        """uvicorn begins the request, with the scope that the short way does without."""
        url, headers, expected = self.url, self.headers, self.expect_100_continue
        HttpToolsProtocol.on_message_begin(self)
        self.url, self.expect_100_continue = url, expected
        self.headers.extend(headers)
        super().begin_request()


def direct_protocol(settings: GatewaySettings, direct: DirectSql) -> type[DirectProtocol]:
    """The protocol with the bounds of `settings` and the short way of one application."""
    return type("SettingsProtocol", (DirectProtocol,), {**protocol_bounds(settings), "direct": direct})
