"""A turn that does not end is interrupted, a loop that stands still ends its process; sleep and suspend do neither."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from actors.hosting.inbox import Inbox
from actors.hosting.watchdog import EXIT_CODE, Watchdog
from storage.layout.address import Address

ALICE = Address("alice", "p")


class Watched:
    """A watchdog and what it did."""

    def __init__(self) -> None:
        self.interrupted: list[Address] = []
        self.died: list[str] = []
        self.dog = Watchdog(
            interrupt_after_s=10, fatal_after_s=60, interrupt=self.interrupted.append, die=self.died.append
        )
        self.inbox = Inbox(ALICE, calls_max=1, bytes_max=1, waiting_max=1)


def test_a_turn_that_runs_on_is_interrupted_once() -> None:
    watched = Watched()
    watched.dog.enter(watched.inbox, 0)
    for _ in range(30):
        watched.dog.beat()
        watched.dog.check(1)
    assert watched.interrupted == [ALICE] and watched.died == []


def test_many_short_turns_are_not_one_long_one() -> None:
    watched = Watched()
    for _ in range(100):
        watched.dog.enter(watched.inbox, 0)
        watched.dog.beat()
        watched.dog.check(5)
        watched.dog.leave()
    assert watched.interrupted == []


def test_each_turn_that_runs_on_is_interrupted() -> None:
    watched = Watched()
    for _ in range(2):
        watched.dog.enter(watched.inbox, 0)
        for _ in range(15):
            watched.dog.check(1)
        watched.dog.leave()
        watched.dog.beat()
    assert watched.interrupted == [ALICE, ALICE]


def test_a_loop_that_stands_still_ends_the_process_and_says_whose_turn_it_was() -> None:
    watched = Watched()
    watched.dog.enter(watched.inbox, 0)
    for _ in range(61):
        watched.dog.check(1)
    assert len(watched.died) == 1 and "alice/p" in watched.died[0]


def test_a_loop_that_turns_lives_on() -> None:
    watched = Watched()
    for _ in range(1000):
        watched.dog.check(30)
        watched.dog.beat()
    assert watched.died == []


def test_time_in_which_the_watcher_slept_too_does_not_count() -> None:
    watched = Watched()
    looks = threading.Event()
    times = iter([0.0, 0.5, 100_000.0])

    def now() -> float:
        moment = next(times, None)
        if moment is None:
            looks.set()
            return 100_000.0
        return moment

    watched.dog.start(now)
    looks.wait(10)
    watched.dog.stop()
    assert watched.died == []


@pytest.mark.system
def test_a_process_that_hangs_ends_with_its_stacks_on_standard_error() -> None:
    script = """
import time
from actors.hosting import watchdog
watchdog.CHECK_INTERVAL_S = 0.02
def interrupt(address): print("interrupted", flush=True)
dog = watchdog.Watchdog(interrupt_after_s=0.05, fatal_after_s=0.2, interrupt=interrupt)
dog.start(time.monotonic)
def a_turn_that_never_ends():
    while True: pass
class Inbox: address = "alice/p"
dog.enter(Inbox(), 0)
a_turn_that_never_ends()
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == EXIT_CODE
    assert "interrupted" in ended.stdout and "a_turn_that_never_ends" in ended.stderr
