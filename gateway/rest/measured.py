"""What this gateway's r2 mode has measured, for operators only: who should move to an actor, what shadow reads found.

Both are this process's memory since it started, bounded, and cost no request to the store. `/v1/admin/migrations` has
the sizes of everybody in the bucket.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from gateway.context import context_of
from gateway.errors import Forbidden, NotFound
from gateway.modes import ModeParts
from gateway.rest.services import services_of
from storage.r2_sqlite.figures import Figures
from storage.r2_sqlite.reasons import reasons_to_move

CANDIDATES_MAX = 1000


@dataclass(frozen=True, slots=True)
class MeasuredUser:
    """One user's figures: size in bytes, times in seconds. `needs_actor`: wishes that only an actor can fulfil."""

    user: str
    size_bytes: int
    load_s_p95: float
    save_s_p95: float
    lost_races: int
    needs_actor: int
    reasons: tuple[str, ...]


def measured_candidates(
    figures: Figures, *, moved: Container[str] = (), most: int = CANDIDATES_MAX
) -> list[MeasuredUser]:
    """Users with a reason to move who have not `moved`: those with most reasons first, then the largest."""
    found = []
    for user, each in figures.users():
        reasons = () if user in moved else reasons_to_move(each.size_bytes, each)
        if reasons:
            load_s, save_s = each.load_s_p95, each.save_s_p95
            found.append(
                MeasuredUser(user, each.size_bytes, load_s, save_s, each.lost_races, each.needs_actor, reasons)
            )
    found.sort(key=lambda candidate: (-len(candidate.reasons), -candidate.size_bytes, candidate.user))
    return found[:most]


async def modes(request: Request) -> ModeParts:
    """r2 mode's parts, for callers who may look. Raises Forbidden, NotFound."""
    if context_of(request.scope).principal.kind == "user":
        raise Forbidden("a user token does not open the administration")
    found = services_of(request.app).parts.modes
    if found is None:
        raise NotFound("this gateway serves no r2 mode")
    return found


Modes = Annotated[ModeParts, Depends(modes)]


async def candidates(parts: Modes, request: Request) -> dict[str, Any]:
    """Users who should move to an actor, with the figures that say so."""
    router = services_of(request.app).modes
    moved = {address.user for address in router.actors_found} if router is not None else set()
    return {"candidates": measured_candidates(parts.files.files.figures, moved=moved)}


async def shadow(parts: Modes) -> dict[str, Any]:
    """Shadow reads that differed or failed, newest first."""
    reads = parts.files.shadow
    return {"differences": [] if reads is None else [each.to_mapping() for each in reads.kept()]}


def measured_routes() -> APIRouter:
    """The routes. They are shown to operators, not in the document for clients."""
    router = APIRouter(prefix="/v1/admin", include_in_schema=False)
    router.add_api_route("/candidates", candidates, methods=["GET"])
    router.add_api_route("/shadow", shadow, methods=["GET"])
    return router
