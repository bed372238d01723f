"""What a lane owns is closed once, and never under a piece of work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.objects.thread_lane import ThreadLane, opened_in_thread


class Resource:
    def __init__(self) -> None:
        self.closed = threading.Event()
        self.closings = 0

    def close(self) -> None:
        self.closings += 1
        self.closed.set()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


async def test_without_work_under_way_closing_is_at_once(threads: ThreadPoolExecutor) -> None:
    for pieces in (0, 2):
        resource = Resource()
        lane = ThreadLane(threads, resource)
        for n in range(pieces):
            assert await lane.run(lambda n=n: n) == n  # type: ignore[misc]
        lane.close()
        assert resource.closed.wait(10)
        assert resource.closings == 1


async def test_closing_waits_for_a_piece_whose_caller_has_gone(threads: ThreadPoolExecutor) -> None:
    resource, running, go_on = Resource(), threading.Event(), threading.Event()
    lane = ThreadLane(threads, resource)

    def work() -> None:
        running.set()
        assert go_on.wait(10)
        assert not resource.closed.is_set()

    task = asyncio.create_task(lane.run(work))
    await asyncio.to_thread(running.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    lane.close()
    assert not resource.closed.is_set()
    go_on.set()
    assert await asyncio.to_thread(resource.closed.wait, 10)


async def test_an_error_reaches_the_caller(threads: ThreadPoolExecutor) -> None:
    resource = Resource()
    lane = ThreadLane(threads, resource)

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await lane.run(fail)
    lane.close()
    assert resource.closings == 1


async def test_what_opens_after_its_caller_has_gone_is_closed(threads: ThreadPoolExecutor) -> None:
    resource, running, go_on = Resource(), threading.Event(), threading.Event()

    def work() -> tuple[Resource, int]:
        running.set()
        assert go_on.wait(10)
        return resource, 1

    task = asyncio.create_task(opened_in_thread(threads, work))
    await asyncio.to_thread(running.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await asyncio.to_thread(resource.closed.wait, 10)
