"""Holdfast's front door: what other programs import. Loaded when first asked for, since Ray takes a while.

user_actor(user, profile)    a user's database from any Ray program (docs/http.md, "From Ray")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.hosting.ray_cluster import user_actor

__all__ = ["user_actor"]


def __getattr__(name: str) -> object:
    if name == "user_actor":
        from actors.hosting.ray_cluster import user_actor

        return user_actor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
