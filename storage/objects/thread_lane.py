"""Work on one file in a thread pool, one piece after the other, with an end that waits for the piece under way.

A cancelled await does not stop its thread; closing the file under it could hit whatever takes over its number. So the
close happens when the last piece has ended, whoever gave up waiting for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from storage.errors import Unavailable

T = TypeVar("T")


class Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class ThreadLane:
    """The pieces of work on `closable`, which the lane owns."""

    def __init__(self, threads: ThreadPoolExecutor, closable: Closable) -> None:
        self._threads = threads
        self._closable = closable
        self._last: Future[object] | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Run one piece in a thread. The one before must have been awaited."""
        future = submitted(self._threads, work)
        self._last = future  # type: ignore[assignment]  # only its end matters here
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Close what the lane owns, now or when the piece under way ends."""
        if self._last is None:
            self._closable.close()
        else:
            self._last.add_done_callback(lambda _: self._closable.close())


def submitted(threads: ThreadPoolExecutor, work: Callable[[], T]) -> Future[T]:
    """Hand `work` to the pool, or Unavailable when its store has been closed: then the work surely was not done."""
    try:
        return threads.submit(work)
    except RuntimeError as error:
        raise Unavailable(f"the object store is closed: {error}") from error


async def opened_in_thread(threads: ThreadPoolExecutor, work: Callable[[], tuple[C, T]]) -> tuple[C, T]:
    """Run `work`, which opens something; it is closed again when the caller has gone meanwhile."""
    future = submitted(threads, work)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.add_done_callback(_close_result)
        raise


def _close_result(future: Future[tuple[C, T]]) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result()[0].close()
