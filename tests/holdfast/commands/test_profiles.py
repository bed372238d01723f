"""`holdfast profiles`."""

from __future__ import annotations

import json

import pytest

from tests.holdfast.cli import answers, holdfast

LIST = {"default": "aa", "selected": "bb", "profiles": {"bb": {"name": "Club"}, "aa": {"name": None}}}


def test_profiles_are_listed_with_their_marks() -> None:
    outcome = holdfast("profiles", "anna", service=answers(json=LIST))
    assert outcome.out.splitlines() == [
        "profile  name",
        "-------  ----  --------",
        "aa             default",
        "bb       Club  selected",
    ]


@pytest.mark.parametrize(
    ("arguments", "method", "path", "body"),
    [
        (["--create", "Club"], "POST", "/v1/users/anna/profiles", {"name": "Club"}),
        (["--select", "bb"], "PUT", "/v1/users/anna/selected-profile", {"profileId": "bb"}),
        (["--rename", "bb", "Team"], "PATCH", "/v1/users/anna/profiles/bb", {"name": "Team"}),
        (["--delete", "bb"], "DELETE", "/v1/users/anna/profiles/bb", None),
    ],
)
def test_a_change_is_made_and_the_list_shown(
    arguments: list[str], method: str, path: str, body: dict[str, str] | None
) -> None:
    outcome = holdfast("profiles", "anna", *arguments, service=answers(json=LIST))
    change, listing = outcome.requests
    assert (change.method, change.url.path) == (method, path)
    assert (json.loads(change.content) if change.content else None) == body
    assert (listing.method, listing.url.path) == ("GET", "/v1/users/anna/profiles")
