"""Whose turn it is: rounds over addresses, a budget per pass, callbacks at its end."""

from __future__ import annotations

from collections.abc import Callable

from actors.call import Call, Op, Reply
from actors.hosting.inbox import Inbox
from actors.hosting.scheduler import Scheduler
from storage.layout.address import Address


class Loop:
    """An event loop's `call_soon`, and a clock that moves by what turns cost."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []
        self.time = 0.0

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    def now(self) -> float:
        return self.time

    def turn(self) -> None:
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback()

    def run(self) -> int:
        turns = 0
        while self.callbacks:
            self.turn()
            turns += 1
        return turns


class Ring:
    """A scheduler with its loop, and a record of the turns that ran."""

    def __init__(self, *, turn_cost_s: float = 0.0, pass_budget_s: float = 0.002) -> None:
        self.loop = Loop()
        self.scheduler = Scheduler(self.loop.call_soon, self.loop.now, pass_budget_s=pass_budget_s)
        self.turn_cost_s = turn_cost_s
        self.ran: list[str] = []

    def inbox(self, user: str, *, open: bool = True) -> Inbox:
        inbox = Inbox(Address(user, "p"), calls_max=1000, bytes_max=1 << 20, waiting_max=1000)
        if open:
            self.scheduler.open(inbox, self.serve)
        return inbox

    def serve(self, call: Call) -> None:
        self.ran.append(call.body.decode())
        self.loop.time += self.turn_cost_s
        call.reply(Reply())

    def put(self, inbox: Inbox, body: str) -> Call:
        call = Call(Op.SQL, {}, body.encode(), lambda reply: None, lambda error: None)
        self.scheduler.put(inbox, call)
        return call


def test_addresses_take_turns_however_much_one_of_them_asks() -> None:
    ring = Ring()
    chatty, quiet = ring.inbox("chatty"), ring.inbox("quiet")
    for number in range(100):
        ring.put(chatty, f"c{number}")
    ring.put(quiet, "q0")
    ring.put(quiet, "q1")
    ring.loop.run()
    assert ring.ran[:5] == ["c0", "q0", "c1", "q1", "c2"] and len(ring.ran) == 102


def test_calls_of_one_address_run_in_their_order() -> None:
    ring = Ring(turn_cost_s=0.001)
    inbox = ring.inbox("alice")
    for number in range(20):
        ring.put(inbox, str(number))
    ring.loop.run()
    assert ring.ran == [str(number) for number in range(20)]


def test_a_pass_gives_the_loop_back_when_its_budget_is_spent() -> None:
    ring = Ring(turn_cost_s=0.001, pass_budget_s=0.002)
    inbox = ring.inbox("alice")
    for number in range(6):
        ring.put(inbox, str(number))
    ring.loop.turn()
    assert ring.ran == ["0", "1"]
    assert ring.loop.run() == 2 and len(ring.ran) == 6


def test_nothing_runs_inside_put() -> None:
    ring = Ring()
    ring.put(ring.inbox("alice"), "x")
    assert ring.ran == []


def test_callbacks_run_once_at_the_end_of_the_pass_that_left_them() -> None:
    ring = Ring()
    inbox = ring.inbox("alice")

    def serve(call: Call) -> None:
        ring.ran.append("turn")
        ring.scheduler.on_pass_end(lambda: ring.ran.append("sync"))

    ring.scheduler.after_every_pass(lambda: ring.ran.append("flush"))
    ring.scheduler.open(inbox, serve)
    ring.put(inbox, "a")
    ring.put(inbox, "b")
    ring.loop.run()
    assert ring.ran == ["turn", "turn", "sync", "sync", "flush"]


def test_a_callback_left_outside_a_pass_or_by_another_callback_runs_soon() -> None:
    ring = Ring()
    ring.scheduler.on_pass_end(lambda: ring.scheduler.on_pass_end(lambda: ring.ran.append("second")))
    assert ring.loop.run() == 2
    assert ring.ran == ["second"]


def test_a_callback_or_a_turn_that_raises_stops_nobody_else() -> None:
    ring = Ring()
    bad, good = ring.inbox("bad"), ring.inbox("good")

    def serve(call: Call) -> None:
        raise RuntimeError("a bug")

    def broken() -> None:
        raise RuntimeError("another")

    failed: list[str] = []
    ring.scheduler.open(bad, serve)
    ring.scheduler.on_pass_end(broken)
    call = Call(Op.SQL, {}, b"", lambda reply: None, lambda error: failed.append(error.code))
    ring.scheduler.put(bad, call)
    ring.put(good, "fine")
    ring.loop.run()
    assert ring.ran == ["fine"] and failed == ["outcome_unknown"]


def test_what_waits_for_an_activation_runs_when_it_opens_and_stays_when_it_closes() -> None:
    ring = Ring()
    inbox = ring.inbox("alice", open=False)
    ring.put(inbox, "early")
    ring.loop.run()
    assert ring.ran == []
    ring.scheduler.open(inbox, ring.serve)
    ring.loop.run()
    assert ring.ran == ["early"]
    ring.put(inbox, "late")
    ring.scheduler.close(inbox)
    ring.loop.run()
    assert ring.ran == ["early"]
    ring.scheduler.open(inbox, ring.serve)
    ring.loop.run()
    assert ring.ran == ["early", "late"]


def test_an_abandoned_call_does_not_run() -> None:
    ring = Ring()
    inbox = ring.inbox("alice")
    ring.put(inbox, "gone").abandoned = True
    ring.put(inbox, "here")
    ring.loop.run()
    assert ring.ran == ["here"] and inbox.open_calls == 0


def test_the_watch_is_told_whose_turn_it_is() -> None:
    class Watch:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def enter(self, inbox: Inbox, now: float) -> None:
            self.seen.append(inbox.address.user)

        def leave(self) -> None:
            self.seen.append("-")

    ring, watch = Ring(), Watch()
    ring.scheduler = Scheduler(ring.loop.call_soon, ring.loop.now, pass_budget_s=1, watch=watch)
    ring.put(ring.inbox("alice"), "x")
    ring.put(ring.inbox("bob"), "y")
    ring.loop.run()
    assert watch.seen == ["alice", "-", "bob", "-"]
