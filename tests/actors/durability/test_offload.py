"""Where blocking work goes."""

from __future__ import annotations

import threading

from actors.durability.offload import in_thread, inline


async def test_in_thread_runs_elsewhere_and_returns_what_it_made() -> None:
    assert await in_thread(threading.get_ident) != threading.get_ident()
    assert await in_thread(divmod, 7, 2) == (3, 1)


async def test_inline_runs_right_here() -> None:
    assert await inline(threading.get_ident) == threading.get_ident()
