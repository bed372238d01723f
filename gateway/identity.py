"""Whose database a request means: the path's user against what the request says about itself. Pure.

A request may name its user by its token's subject, by a header and by a cookie (their names are settings). All that
are present must agree with each other and with the path; `me` in the path stands for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.errors import UserMismatch, UserRequired
from storage.layout.address import check_id


@dataclass(frozen=True, slots=True)
class Claims:
    """What a request says about its user; None where it is silent."""

    subject: str | None = None
    header: str | None = None
    cookie: str | None = None


NOTHING_CLAIMED = Claims()


def identify(claims: Claims, path_user: str | None) -> str:
    """The user, checked to be a valid id. `path_user` is None for `me`.

    Raises UserMismatch, UserRequired, InvalidId.
    """
    user, source = path_user, "path"
    for name in ("subject", "header", "cookie"):
        claimed: str | None = getattr(claims, name)
        if claimed is None:
            continue
        if user is None:
            user, source = claimed, name
        elif claimed != user:
            raise UserMismatch(f"the {name} of the request names another user than the {source}")
    if user is None:
        raise UserRequired("`me`: neither a user token nor the user header nor its cookie says who that is")
    return check_id(user, "user")


def meant_user(claims: Claims, path_user: str | None) -> str:
    """As `identify`, but a path's user that nothing else names is not checked: the caller looks it up anyway."""
    return path_user if claims is NOTHING_CLAIMED and path_user is not None else identify(claims, path_user)


def claims_of(headers: Mapping[bytes, bytes], subject: str | None, *, header_name: bytes, cookie_name: str) -> Claims:
    """What a request's headers and its token's subject say about its user."""
    header, cookies = headers.get(header_name), headers.get(b"cookie")
    if header is None and cookies is None and subject is None:
        return NOTHING_CLAIMED
    return Claims(
        subject=subject,
        header=None if header is None else header.decode("latin-1"),
        cookie=None if cookies is None else cookie_value(cookies.decode("latin-1"), cookie_name),
    )


def cookie_value(header: str, name: str) -> str | None:
    """The value of the first cookie called `name` in a Cookie header, without surrounding quotes."""
    for part in header.split(";"):
        key, separator, value = part.strip().partition("=")
        if separator and key == name:
            return value.strip('"')
    return None
