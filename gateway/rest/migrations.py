"""`/v1/admin/migrations`: moving users between r2 mode and actors, for operators only.

What a step does is decided elsewhere (the port `gateway.parts.Migrations`). A user's own token opens nothing here. A
step answers when it has come to its end; one that was cut off goes on when it is asked for again.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict

from gateway.context import context_of
from gateway.errors import Forbidden, NotFound
from gateway.parts import Migrations
from gateway.rest.json_route import JsonRoute
from gateway.rest.services import services_of
from storage.layout.address import Address, check_id


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class DriverSwitch(_Body):
    """What PATCH migrations takes."""

    paused: bool


class MigrationStep(_Body):
    """What POST migrations/{user} takes. Without `execute` nothing is written."""

    step: Literal["plan", "run", "verify", "rollback", "finalize"]
    execute: bool = False
    force: bool = False


async def migrations(request: Request) -> Migrations:
    """The port, for callers who may use it. Raises Forbidden, NotFound."""
    if context_of(request.scope).principal.kind == "user":
        raise Forbidden("a user token does not open the administration")
    found = services_of(request.app).parts.migrations
    if found is None:
        raise NotFound("this gateway moves nobody")
    return found


async def user_id(request: Request) -> str:
    return check_id(request.path_params["user"], "user")


Port = Annotated[Migrations, Depends(migrations)]
UserId = Annotated[str, Depends(user_id)]


async def summary(port: Port) -> dict[str, Any]:
    """Users by state, whether drivers are paused, and who should move, with the figures that say so."""
    return dict(await port.summary())


async def pause(port: Port, body: DriverSwitch) -> dict[str, Any]:
    """Pause every driver of this environment, or let them go on. Users under way come to their end."""
    return dict(await port.pause(paused=body.paused))


async def status(port: Port, user: UserId) -> dict[str, Any]:
    """How far a user has come."""
    return dict(await port.status(user))


async def carry_out(port: Port, user: UserId, body: MigrationStep) -> dict[str, Any]:
    """Plan, run, verify, roll back or finalize one user. `execute` is needed for whatever writes."""
    return dict(await port.carry_out(user, body.step, execute=body.execute, force=body.force))


async def release(port: Port, user: UserId, request: Request) -> dict[str, Any]:
    """Ask the actor of one profile to flush and release; what a driver elsewhere does during a rollback."""
    return dict(await port.release(Address.parse(user, request.path_params["profile"])))


def migration_routes() -> APIRouter:
    """The routes. They are shown to operators, not in the document for clients."""
    router = APIRouter(prefix="/v1/admin/migrations", include_in_schema=False, route_class=JsonRoute)
    router.add_api_route("", summary, methods=["GET"])
    router.add_api_route("", pause, methods=["PATCH"])
    router.add_api_route("/{user}", status, methods=["GET"])
    router.add_api_route("/{user}", carry_out, methods=["POST"])
    router.add_api_route("/{user}/profiles/{profile}/release", release, methods=["POST"])
    return router
