"""Where blocking work that is not worth a process goes: a thread, or nowhere (in simulation)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Offload(Protocol):
    """Runs a function away from the event loop and returns its result."""

    async def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """In the event loop's default thread pool."""
    return await asyncio.to_thread(function, *args, **kwargs)


async def inline(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Right here: for simulation and tests."""
    return function(*args, **kwargs)
