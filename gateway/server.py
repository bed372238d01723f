"""The HTTP server around the application: listens, serves, and stops in good order.

Stopping: no new connections, requests in flight get `shutdown_grace_s` to finish, the rest is cancelled, then the
application's lifespan ends. Signals are the caller's business: `stop_on_signals` turns the first one into the stop
event and hands the second one to whatever ends the process at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from gateway.app import mark_draining
from gateway.auth import check_bind
from gateway.direct_protocol import direct_protocol
from gateway.errors import BindRefused
from gateway.http_protocol import bounded_protocol
from gateway.rest.direct import direct_sql
from gateway.rest.services import services_of
from storage.errors import InvalidRequest

BACKLOG = 2048
STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class AddressInUse(InvalidRequest):
    """Somebody else listens there, or we may not."""

    code = "address_in_use"


def listen(host: str, port: int, *, guarded: bool) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises BindRefused (no token, not loopback), AddressInUse."""
    check_bind(host, guarded=guarded)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AddressInUse(f"{host}:{port}: {error.strerror or error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressInUse(f"{host}:{port}: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener


async def serve(
    application: FastAPI,
    listener: socket.socket,
    *,
    stop: asyncio.Event,
    started: Callable[[], None] | None = None,
) -> None:
    """Serve on `listener` until `stop` is set and everything in flight has been answered or given up.

    `started` is called once requests are taken. The listener is closed at the end.
    """
    services = services_of(application)
    settings, direct = services.parts.settings, direct_sql(services)
    host = listener.getsockname()[0]
    if not settings.guarded:
        check_bind(str(host), guarded=False)
    config = uvicorn.Config(
        application,
        http=bounded_protocol(settings) if direct is None else direct_protocol(settings, direct),
        ws="none",
        loop="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.shutdown_grace_s,
    )
    server = _Server(config, started)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        mark_draining(application)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()
        if not serving.done():
            server.should_exit = server.force_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await serving
        listener.close()


@contextlib.contextmanager
def stop_on_signals(stop: asyncio.Event, *, abort: Callable[[], None]) -> Iterator[None]:
    """While inside, SIGINT or SIGTERM sets `stop`; any further one calls `abort`, which ends the process at once."""
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            abort()
        stop.set()

    for number in STOPPING_SIGNALS:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in STOPPING_SIGNALS:
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers and its waits of a tenth of a second."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_started = started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_started is not None:
            self._on_started()


__all__ = ["AddressInUse", "BindRefused", "listen", "serve", "stop_on_signals"]
