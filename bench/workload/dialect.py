"""The two ways the same work is written: for a database per user, and for one database with a user column. Pure."""

from __future__ import annotations

from enum import StrEnum


class Dialect(StrEnum):
    """`per_user` is SQLite with `?`; `shared` is PostgreSQL, where $1 is the user and the server fills it in."""

    PER_USER = "per_user"
    SHARED = "shared"
