"""A user's profiles and their deletion: the cold endpoints, in the framework's own way.

The same functions serve `/v1/users/{user}/…` and `/v1/me/…`; `UserId` finds out whose request it is. Errors are raised,
never built here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from gateway.context import context_of
from gateway.erasure import ErasureReport
from gateway.profiles import Profiles, check_name
from gateway.rest.json_route import JsonRoute
from gateway.rest.services import Services, services_of
from storage.layout.address import Address, check_id


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewProfile(_Body):
    """What POST profiles takes."""

    name: str | None = None


class ProfileName(_Body):
    """What PATCH profiles/{profile} takes."""

    name: str


class Selection(_Body):
    """selected-profile.json, and what PUT selected-profile takes."""

    profileId: str


class ProfileList(BaseModel):
    """profiles.json as it is, and the selected one."""

    model_config = ConfigDict(extra="allow")

    default: str
    selected: str
    profiles: dict[str, dict[str, Any]]


class OneProfile(BaseModel):
    """One profile with its id."""

    model_config = ConfigDict(extra="allow")

    id: str
    name: str | None


class Remains(BaseModel):
    """What stays of one profile, and until when (RFC 3339)."""

    profile: str
    until: str
    remains: dict[str, Any]


class Erased(BaseModel):
    """What a deletion did: objects deleted by folder, and what stays until when."""

    user: str
    deleted: dict[str, int]
    remains: list[Remains]
    until: str | None


async def services(request: Request) -> Services:
    return services_of(request.app)


async def user_id(request: Request) -> str:
    """The user of the path or, under `me`, of the request."""
    context = context_of(request.scope)
    return services_of(request.app).databases.user(context, request.path_params.get("user"))


async def profile_id(request: Request) -> str:
    """The profile of the path, checked."""
    return check_id(request.path_params["profile"], "profile")


Parts = Annotated[Services, Depends(services)]
UserId = Annotated[str, Depends(user_id)]
ProfileId = Annotated[str, Depends(profile_id)]


async def list_profiles(parts: Parts, user: UserId) -> ProfileList:
    """The user's profiles. A user seen for the first time gets a default profile."""
    profiles, selected = await parts.directory.read(user)
    return ProfileList.model_validate({**profiles.fields, "selected": selected})


async def create_profile(
    parts: Parts, user: UserId, body: NewProfile, request: Request, response: Response
) -> OneProfile:
    """One more profile, with an id of its own. It is not selected by that."""
    settings = parts.parts.settings
    name = None if body.name is None else check_name(body.name, length_max=settings.profile_name_length_max)
    profile = parts.profiles.new_profile_id()

    def add(profiles: Profiles) -> Profiles:
        return profiles.add(profile, name, profiles_max=settings.profiles_max)

    profiles, _ = await parts.directory.change(user, add)
    response.headers["location"] = f"{request.url.path}/{profile}"
    return _one(profiles, profile)


async def rename_profile(parts: Parts, user: UserId, profile: ProfileId, body: ProfileName) -> OneProfile:
    """Give a profile another name."""
    name = check_name(body.name, length_max=parts.parts.settings.profile_name_length_max)
    profiles, _ = await parts.directory.change(user, lambda known: known.rename(profile, name))
    return _one(profiles, profile)


async def delete_profile(parts: Parts, user: UserId, profile: ProfileId) -> Erased:
    """Delete a profile: unreachable at once, its files gone, its log and tombstone kept for the retention time.

    The default profile cannot be deleted (409 `default_profile`); a selection of the deleted one becomes the default.
    """
    return _erased(user, await parts.eraser.delete_profile(Address.parse(user, profile)))


async def read_selection(parts: Parts, user: UserId) -> Selection:
    """The selected profile."""
    _, selected = await parts.directory.read(user)
    return Selection(profileId=selected)


async def select_profile(parts: Parts, user: UserId, body: Selection) -> Selection:
    """Select a profile: requests without a profile in their path go to it, from now on."""
    await parts.directory.select(user, check_id(body.profileId, "profile"))
    return body


async def delete_user(parts: Parts, user: UserId) -> Erased:
    """Erase a user: all profiles, their files and everything else under the user's prefix.

    Logs and tombstones stay until the times given, then they are removed too. A later request of the same user starts
    anew, with another default profile.
    """
    return _erased(user, await parts.eraser.delete_user(user))


def profile_routes() -> APIRouter:
    """The routes, for `users/{user}` and for `me`."""
    router = APIRouter(tags=["profiles"], route_class=JsonRoute)
    for prefix in ("/v1/users/{user}", "/v1/me"):
        router.add_api_route(f"{prefix}/profiles", list_profiles, methods=["GET"])
        router.add_api_route(f"{prefix}/profiles", create_profile, methods=["POST"], status_code=201)
        router.add_api_route(f"{prefix}/profiles/{{profile}}", rename_profile, methods=["PATCH"])
        router.add_api_route(f"{prefix}/profiles/{{profile}}", delete_profile, methods=["DELETE"])
        router.add_api_route(f"{prefix}/selected-profile", read_selection, methods=["GET"])
        router.add_api_route(f"{prefix}/selected-profile", select_profile, methods=["PUT"])
        router.add_api_route(prefix, delete_user, methods=["DELETE"])
    return router


def _one(profiles: Profiles, profile: str) -> OneProfile:
    return OneProfile.model_validate({**profiles.entry(profile), "id": profile})


def _erased(user: str, report: ErasureReport) -> Erased:
    remains = [
        Remains(profile=record.profile, until=_time(record.until or 0.0), remains=record.remains)
        for record in report.records
    ]
    until = max((record.until or 0.0 for record in report.records), default=None)
    return Erased(user=user, deleted=dict(report.files), remains=remains, until=None if until is None else _time(until))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
