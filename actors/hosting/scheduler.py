"""Whose turn it is: all inboxes of a host share one event loop, one call per inbox and round.

Calls gather while the loop reads its sockets; one loop callback, a *pass*, then takes the inboxes round robin until
nothing waits or its time budget is spent, and gives the loop back. A chatty address so delays another by one turn per
round, never by its whole queue. At the end of a pass the callbacks left with `on_pass_end` run once each: there the
activations that committed sync their journals, one fdatasync for all writes of the pass (group commit).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from actors.call import Call
from actors.hosting.inbox import Inbox

_log = logging.getLogger(__name__)


class TurnWatch(Protocol):
    """Told which inbox's turn runs (actors.hosting.watchdog)."""

    def enter(self, inbox: Inbox, now: float) -> None: ...
    def leave(self) -> None: ...


class Scheduler:
    """The ring of inboxes that have something to run.

    `call_soon` is the event loop's; `now` any steady clock in seconds.
    """

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        now: Callable[[], float],
        *,
        pass_budget_s: float,
        watch: TurnWatch | None = None,
    ) -> None:
        self._call_soon, self._now, self._budget_s, self._watch = call_soon, now, pass_budget_s, watch
        self._ring: deque[Inbox] = deque()
        self._endings: list[Callable[[], None]] = []
        self._always: list[Callable[[], None]] = []
        self._scheduled = False
        self.in_pass = False

    def put(self, inbox: Inbox, call: Call) -> None:
        """Queue `call`, or answer it `Overloaded`."""
        if inbox.admit(call) and inbox.serve is not None and not inbox.in_ring:
            self._enter_ring(inbox)

    def open(self, inbox: Inbox, serve: Callable[[Call], None]) -> None:
        """From now on `serve` runs the turns of `inbox`, those that wait first."""
        inbox.serve = serve
        if inbox.waiting and not inbox.in_ring:
            self._enter_ring(inbox)

    def close(self, inbox: Inbox) -> None:
        """No more turns of `inbox`; what waits in it stays."""
        inbox.serve = None

    def on_pass_end(self, callback: Callable[[], None]) -> None:
        """Run `callback` once, when this pass is over; outside a pass: when the next one is, which follows at once."""
        self._endings.append(callback)
        if not self.in_pass:
            self._schedule()

    def after_every_pass(self, callback: Callable[[], None]) -> None:
        """Run `callback` at the very end of every pass, after its `on_pass_end` callbacks: sockets are flushed here."""
        self._always.append(callback)

    def _enter_ring(self, inbox: Inbox) -> None:
        inbox.in_ring = True
        self._ring.append(inbox)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self.in_pass:
            self._scheduled = True
            self._call_soon(self._run_pass)

    def _run_pass(self) -> None:
        self._scheduled = False
        self.in_pass = True
        try:
            self._run_turns()
            self._run_endings()
        finally:
            self.in_pass = False
            if self._ring or self._endings:
                self._schedule()
        for callback in self._always:
            callback()

    def _run_turns(self) -> None:
        ring, now, watch = self._ring, self._now, self._watch
        moment = now()
        deadline = moment + self._budget_s
        while ring:
            inbox = ring.popleft()
            if inbox.serve is None or not inbox.waiting:
                inbox.in_ring = False
                continue
            if watch is None:
                inbox.run_one()
            else:
                watch.enter(inbox, moment)
                inbox.run_one()
                watch.leave()
            if inbox.waiting:
                ring.append(inbox)
            else:
                inbox.in_ring = False
            moment = now()
            if moment >= deadline:
                return

    def _run_endings(self) -> None:
        """Callbacks of this pass. What they add themselves (a gate that opens and runs on) waits for the next pass."""
        if not self._endings:
            return
        endings, self._endings = self._endings, []
        for callback in endings:
            try:
                callback()
            except Exception:
                _log.exception("end of pass: %r raised", callback)
