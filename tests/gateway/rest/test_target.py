"""Paths of one database."""

from __future__ import annotations

import pytest

from gateway.rest.target import DATABASE_SHAPES, Target, parse_target


@pytest.mark.parametrize("shape", DATABASE_SHAPES)
def test_every_shape_is_understood(shape: str) -> None:
    user = "alice" if "{user}" in shape else None
    profile = "p1" if "{profile}" in shape else None
    path = shape.format(user="alice", profile="p1") + "/sql"
    assert parse_target(path) == Target(shape, user, profile, "sql")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v1",
        "/v1/me",
        "/v2/me/sql",
        "v1/me/sql",
        "/v1/me/sql/",
        "//v1/me/sql",
        "/v1/users/alice",
        "/v1/users//sql",
        "/v1/users/alice/profiles//sql",
        "/v1/users/alice/profiles/p1",
        "/v1/users/alice/profile/p1/sql",
        "/v1/me/profiles//sql",
        "/v1/users/alice/profiles/p1/sql/more",
        "/healthz/x/y/sql",
    ],
)
def test_other_paths_are_not(path: str) -> None:
    assert parse_target(path) is None
