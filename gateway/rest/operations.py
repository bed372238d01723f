"""What operators and their machines ask: healthz, readyz, metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from gateway.context import context_of
from gateway.metrics import CONTENT_TYPE
from gateway.parts import GatewayParts, Sample
from gateway.problems import problem
from gateway.rest.services import services_of
from storage.errors import HoldfastError

log = logging.getLogger(__name__)


async def healthz(request: Request) -> Response:
    """The process runs and its event loop turns. Depends on nothing else."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """The store answers and hosts are up; 503 `not_ready` otherwise."""
    report = await services_of(request.app).readiness.check()
    if report.ready:
        return JSONResponse({"status": "ready", "checks": report.checks})
    answer = problem(
        "not_ready",
        "a precondition does not hold",
        context_of(request.scope).request_id,
        retryable=True,
        details={"checks": report.checks},
    )
    return Response(
        answer.body,
        status_code=answer.status,
        headers={name.decode(): value.decode() for name, value in answer.headers},
    )


async def metrics(request: Request) -> Response:
    """Prometheus text: the gateway's own counters and what hosts report."""
    services = services_of(request.app)
    samples = await _host_samples(services.parts)
    own = services.modes.samples() if services.modes is not None else ()
    return Response(services.metrics.exposition(samples, own), headers={"content-type": CONTENT_TYPE})


def operation_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/healthz", healthz, methods=["GET", "HEAD"])
    router.add_api_route("/readyz", readyz, methods=["GET", "HEAD"])
    router.add_api_route("/metrics", metrics, methods=["GET"])
    return router


async def _host_samples(parts: GatewayParts) -> Sequence[Sample] | None:
    try:
        async with asyncio.timeout(parts.settings.host_metrics_timeout_s):
            return await parts.host_metrics()
    except (HoldfastError, TimeoutError) as error:
        log.warning("hosts did not report their metrics: %s", error)
        return None
