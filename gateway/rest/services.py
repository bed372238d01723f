"""The gateway's own working parts, built once per application and reached by its routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.body import BodyBudget
from gateway.erasure import Eraser
from gateway.json_logs import RequestLog
from gateway.metrics import GatewayMetrics
from gateway.modes import ModeRouter
from gateway.parts import GatewayParts
from gateway.profile_directory import ProfileDirectory
from gateway.profile_store import ProfileStore
from gateway.readiness import Readiness
from gateway.request_record import RequestRecords
from gateway.rest.database import Databases


@dataclass(frozen=True, slots=True)
class Services:
    """One of each."""

    parts: GatewayParts
    profiles: ProfileStore
    directory: ProfileDirectory
    databases: Databases
    modes: ModeRouter | None
    eraser: Eraser
    metrics: GatewayMetrics
    records: RequestRecords
    bodies: BodyBudget
    readiness: Readiness


def build_services(parts: GatewayParts, requests: RequestLog) -> Services:
    """Wire them. No I/O."""
    profiles = ProfileStore(
        parts.store, env=parts.env, clock=parts.clock, rng=parts.rng, random_bytes=parts.random_bytes
    )
    directory = ProfileDirectory(profiles, clock=parts.clock, settings=parts.settings)

    async def default_of(user: str) -> str:
        return (await directory.read(user))[0].default

    metrics = GatewayMetrics()
    modes = None if parts.modes is None else ModeRouter(parts.modes, parts.router, default_of)
    return Services(
        parts=parts,
        profiles=profiles,
        directory=directory,
        databases=Databases(router=parts.router, directory=directory, settings=parts.settings, modes=modes),
        modes=modes,
        eraser=Eraser(
            store=parts.store,
            env=parts.env,
            profiles=profiles,
            directory=directory,
            actors=parts.erasure,
            clock=parts.clock,
            erase_flag=parts.modes.flags.erase if parts.modes is not None else None,
        ),
        metrics=metrics,
        records=RequestRecords(metrics, requests, clock=parts.clock, access_log=parts.settings.access_log),
        bodies=BodyBudget(parts.settings.bodies_bytes_max),
        readiness=Readiness(parts),
    )


def services_of(application: Any) -> Services:
    """The services of a FastAPI application made by `gateway.app`."""
    services: Services = application.state.services
    return services
