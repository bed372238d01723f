"""Watches a host's event loop from a thread: interrupts a turn that does not end, ends a process that stands still.

A turn that runs on for `interrupt_after_s` gets its SQLite statement interrupted. A loop that has not turned for
`fatal_after_s` cannot be helped: the stacks are logged and the process ends at once, so that Ray starts it again and
the journals are recovered. Only time in which the watching thread itself was awake counts: a machine that was suspended
or a process that was stopped is not punished for it.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Final

from actors.hosting.inbox import Inbox
from storage.layout.address import Address

EXIT_CODE: Final = 70
CHECK_INTERVAL_S: Final = 0.5
_log = logging.getLogger(__name__)


def end_process(why: str) -> None:
    """Log the stacks of all threads and end this process without any clean-up."""
    _log.critical("%s: this process ends", why)
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    sys.stderr.flush()
    os._exit(EXIT_CODE)


class Watchdog:
    """The scheduler's TurnWatch. `interrupt(address)` and `die(why)` are called on the watching thread."""

    def __init__(
        self,
        *,
        interrupt_after_s: float,
        fatal_after_s: float,
        interrupt: Callable[[Address], None],
        die: Callable[[str], None] = end_process,
    ) -> None:
        self._interrupt_after_s, self._fatal_after_s = interrupt_after_s, fatal_after_s
        self._interrupt, self._die = interrupt, die
        self._inbox: Inbox | None = None
        self._turn = self._beat = 0
        self._seen_turn = self._seen_beat = -1
        self._turn_s = self._still_s = 0.0
        self._interrupted = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def enter(self, inbox: Inbox, now: float) -> None:
        """A turn of `inbox` begins."""
        self._turn += 1
        self._inbox = inbox

    def leave(self) -> None:
        """The turn is over."""
        self._inbox = None

    def beat(self) -> None:
        """The loop turns. To be called a few times per CHECK_INTERVAL_S from the loop."""
        self._beat += 1

    def start(self, now: Callable[[], float]) -> None:
        """Begin to watch; `now` is a steady clock in seconds."""
        self._thread = threading.Thread(target=self._watch, args=(now,), name="holdfast-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def check(self, elapsed_s: float) -> None:
        """One look, `elapsed_s` after the last."""
        inbox, turn, beat = self._inbox, self._turn, self._beat
        if inbox is not None and turn == self._seen_turn:
            self._turn_s += elapsed_s
            if self._turn_s >= self._interrupt_after_s and not self._interrupted:
                self._interrupted = True
                _log.error("a turn of %s runs for %.1f s: its statement is interrupted", inbox.address, self._turn_s)
                self._interrupt(inbox.address)
        else:
            self._seen_turn, self._turn_s, self._interrupted = turn, 0.0, False
        if beat == self._seen_beat:
            self._still_s += elapsed_s
            if self._still_s >= self._fatal_after_s:
                whose = "" if inbox is None else f" in a turn of {inbox.address}"
                self._die(f"the event loop stands still for {self._still_s:.1f} s{whose}")
        else:
            self._seen_beat, self._still_s = beat, 0.0

    def _watch(self, now: Callable[[], float]) -> None:
        last = now()
        while not self._stop.wait(CHECK_INTERVAL_S):
            moment = now()
            try:
                self.check(min(moment - last, 2 * CHECK_INTERVAL_S))
            except Exception:
                _log.exception("the watchdog stumbled")
            last = moment
