"""For whom the current request runs, and where: context variables, so that no function has to pass them on.

Every asyncio task has its own; a task starts with a copy of its maker's. Environment and data folder are set once,
before anything is served; user and profile for each request, by whoever resolved them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from storage.errors import InvalidRequest
from storage.layout.address import Address
from storage.layout.profiled import check_environment

_app_env: ContextVar[str] = ContextVar("app_env", default="dev")
_user_data_base: ContextVar[Path] = ContextVar("user_data_base", default=Path("user_data"))
_current_user_id: ContextVar[str | None] = ContextVar("current_user_id", default=None)
_current_profile_id: ContextVar[str | None] = ContextVar("current_profile_id", default=None)


class NoCurrentUser(InvalidRequest):
    """Asked outside a request for what only a request has."""

    code = "no_current_user"


def set_app_env(env: str, user_data_base: Path | None = None) -> None:
    """The environment, and the folder of local data, for this context and the tasks made in it."""
    _app_env.set(check_environment(env))
    if user_data_base is not None:
        _user_data_base.set(user_data_base)


def get_app_env() -> str:
    return _app_env.get()


def get_user_data_base() -> Path:
    return _user_data_base.get()


@contextmanager
def serving(address: Address) -> Iterator[None]:
    """Inside, `address` is whom the request is for; afterwards whoever it was before."""
    user = _current_user_id.set(address.user)
    profile = _current_profile_id.set(address.profile)
    try:
        yield
    finally:
        _current_profile_id.reset(profile)
        _current_user_id.reset(user)


def get_current_user_id() -> str:
    """Raises NoCurrentUser outside `serving`."""
    return _known(_current_user_id.get(), "user")


def get_current_profile_id() -> str:
    """Raises NoCurrentUser outside `serving`."""
    return _known(_current_profile_id.get(), "profile")


def _known(value: str | None, what: str) -> str:
    if value is None:
        raise NoCurrentUser(f"no current {what}: nothing is being served here")
    return value
