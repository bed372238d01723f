"""What waits for one address: its calls in order, bounded in number and bytes, and counted until they are answered.

A call occupies its inbox from `admit` until its answer, so replies that a gate holds back count too: a bucket out of
reach fills the inbox and turns into `Overloaded` at the door instead of into memory. An inbox without a `serve` (its
activation is coming or going) keeps what waits; `refuse_waiting` answers it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from actors.call import Call, Reply
from actors.errors import OutcomeUnknownWrite, Overloaded
from storage.errors import HoldfastError
from storage.layout.address import Address

OVERLOADED_RETRY_AFTER_S: Final = 1.0
_log = logging.getLogger(__name__)


class Ticket:
    """A call's place in an inbox. It takes the call's answer, frees the place, and passes the answer on, once."""

    __slots__ = ("_bytes", "_fail", "_inbox", "_reply", "call")

    def __init__(self, inbox: Inbox, call: Call) -> None:
        self.call = call
        self._inbox: Inbox | None = inbox
        self._bytes = len(call.body)
        self._reply, self._fail = call.reply, call.fail
        call.reply, call.fail = self.reply, self.fail

    def reply(self, reply: Reply) -> None:
        if self._leave():
            self._reply(reply)

    def fail(self, error: HoldfastError) -> None:
        if self._leave():
            self._fail(error)

    def _leave(self) -> bool:
        inbox = self._inbox
        if inbox is None:
            _log.error("%s answered twice, the second answer is dropped", self.call.op)
            return False
        self._inbox = None
        inbox.open_calls -= 1
        inbox.open_bytes -= self._bytes
        return True


class Inbox:
    """One address's inbox. `serve` runs one call's turn (an activation's `submit`) or is None."""

    __slots__ = ("_bytes_max", "_calls_max", "_waiting_max", "address", "in_ring", "open_bytes", "open_calls", "serve",
                 "waiting")  # fmt: skip

    def __init__(self, address: Address, *, calls_max: int, bytes_max: int, waiting_max: int) -> None:
        self.address = address
        self.serve: Callable[[Call], None] | None = None
        self.waiting: deque[Ticket] = deque()
        self.open_calls = self.open_bytes = 0
        self.in_ring = False
        self._calls_max, self._bytes_max, self._waiting_max = calls_max, bytes_max, waiting_max

    def admit(self, call: Call) -> bool:
        """Take `call` in, or answer it `Overloaded`. False: it was answered."""
        size = len(call.body)
        calls_max = self._calls_max if self.serve is not None else self._waiting_max
        if self.open_calls >= calls_max or (self.open_bytes + size > self._bytes_max and self.open_calls):
            call.fail(
                Overloaded(
                    f"inbox of {self.address} holds {self.open_calls} calls and {self.open_bytes} bytes, at most "
                    f"{calls_max} and {self._bytes_max}",
                    retry_after_s=OVERLOADED_RETRY_AFTER_S,
                )
            )
            return False
        self.open_calls += 1
        self.open_bytes += size
        self.waiting.append(Ticket(self, call))
        return True

    def run_one(self) -> None:
        """The first waiting call's turn. Only with a `serve` and something waiting."""
        assert self.serve is not None, f"turn of {self.address} without an activation"
        ticket = self.waiting.popleft()
        if ticket.call.abandoned:
            ticket.fail(Overloaded("not run: its caller had gone"))
            return
        try:
            self.serve(ticket.call)
        except Exception as error:
            _log.exception("turn of %s raised", self.address)
            ticket.fail(OutcomeUnknownWrite(f"{ticket.call.op} on {self.address} failed unexpectedly: {error!r}"))

    def refuse_waiting(self, error: HoldfastError) -> int:
        """Answer everything that waits with `error`: it did not run. Returns how many calls that were."""
        count = len(self.waiting)
        for _ in range(count):
            self.waiting.popleft().fail(error)
        return count
