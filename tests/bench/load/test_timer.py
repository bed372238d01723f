"""The timer rings for epoll."""

from __future__ import annotations

import select
import time

from bench.load.timer import Timer


def test_a_timer_rings_when_its_time_has_come_and_not_again() -> None:
    timer, poll = Timer(), select.epoll()
    try:
        poll.register(timer.fileno(), select.EPOLLIN)
        due = time.monotonic_ns() + 2_000_000
        timer.ring_at(due)
        assert poll.poll(10) == [(timer.fileno(), select.EPOLLIN)]
        assert time.monotonic_ns() >= due
        timer.quiet()
        assert poll.poll(0) == []
    finally:
        poll.close()
        timer.close()


def test_a_time_that_has_passed_rings_at_once() -> None:
    timer, poll = Timer(), select.epoll()
    try:
        poll.register(timer.fileno(), select.EPOLLIN)
        timer.ring_at(0)
        assert poll.poll(10)
    finally:
        poll.close()
        timer.close()
