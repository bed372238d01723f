"""The gateway as one FastAPI application: routes, the edge around them, and what runs beside them.

`create_app` wires and does no I/O. The application closes nothing it was given; while it runs it goes on with
deletions that an earlier gateway left unfinished (`gateway.erasure`).
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from gateway.edge import Edge
from gateway.json_logs import RequestLog
from gateway.parts import GatewayParts
from gateway.rest.database_routes import DatabaseRoutes
from gateway.rest.docs import Docs
from gateway.rest.framework_errors import install_framework_errors
from gateway.rest.measured import measured_routes
from gateway.rest.migrations import migration_routes
from gateway.rest.objects import object_routes
from gateway.rest.operations import operation_routes
from gateway.rest.profiles import profile_routes
from gateway.rest.services import Services, build_services, services_of
from gateway.settings import GatewaySettings
from storage.errors import HoldfastError

CORS_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
CORS_HEADERS = ("Authorization", "Content-Type", "Holdfast-Durability", "Idempotency-Key", "X-Request-ID")
CORS_EXPOSED = (
    "Holdfast-Bookmark",
    "Idempotent-Replay",
    "Content-Disposition",
    "ETag",
    "Holdfast-Mode",
    "Holdfast-Mode-Reason",
    "Location",
    "Retry-After",
    "X-Request-ID",
)

log = logging.getLogger(__name__)


def create_app(parts: GatewayParts, *, write_log: Callable[[bytes], None] | None = None) -> FastAPI:
    """The application of one gateway. `write_log` takes the request log's lines (default: standard error)."""
    settings = parts.settings.validate()
    requests = RequestLog(write_log or _write_to_stderr)
    services = build_services(parts, requests)
    application = FastAPI(
        title="Holdfast",
        version=parts.version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(requests),
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    application.state.services = services
    application.state.requests = requests
    routes = DatabaseRoutes(services.databases)
    application.router.routes.extend(routes.for_router())
    application.router.routes.extend(object_routes(parts))
    for router in (profile_routes(), migration_routes(), measured_routes(), operation_routes(), Docs(parts).routes()):
        application.include_router(router)
    install_framework_errors(application)
    application.add_middleware(
        Edge,
        parts=parts,
        metrics=services.metrics,
        records=services.records,
        bodies=services.bodies,
        hot=routes.hot,
    )
    if settings.cors_origins:
        _allow_origins(application, settings)
    return application


def mark_draining(application: FastAPI) -> None:
    """From now on /readyz says no, so that nobody sends new requests while the last ones finish."""
    services_of(application).readiness.draining = True


def _allow_origins(application: FastAPI, settings: GatewaySettings) -> None:
    application.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=CORS_METHODS,
        allow_headers=(*CORS_HEADERS, settings.user_header),
        expose_headers=CORS_EXPOSED,
        allow_credentials="*" not in settings.cors_origins,
        max_age=600,
    )


def _lifespan(requests: RequestLog) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(_sweep_for_ever(services_of(application)))
        try:
            yield
        finally:
            sweeper.cancel()
            await asyncio.gather(sweeper, return_exceptions=True)
            requests.flush()

    return lifespan


async def _sweep_for_ever(services: Services) -> None:
    while True:
        await services.parts.clock.sleep(services.parts.settings.erasure_sweep_s)
        try:
            count = await services.eraser.sweep()
        except HoldfastError as error:
            log.warning("deletions could not go on: %s", error.message)
        else:
            if count:
                log.info("deletions that went on or ended: %d", count)


def _write_to_stderr(lines: bytes) -> None:
    sys.stderr.buffer.write(lines)
    sys.stderr.buffer.flush()
