"""One turn at a time, and every call answered once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from actors.call import Call, Op, Reply
from actors.errors import ActivationEnded, OutcomeUnknownWrite, Overloaded, SqlError
from actors.model import turn_queue
from actors.model.turn_queue import TurnQueue
from storage.errors import HoldfastError
from tests.actors.kit import virtual


class Turns:
    """A queue whose calls are named by their bodies; `aside` calls run until told."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.answers: dict[str, HoldfastError | None] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.go_on = asyncio.Event()
        self.queue = TurnQueue(self.run, self.spawn)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.tasks.append(task := asyncio.get_running_loop().create_task(work))
        return task

    def put(self, name: str) -> None:
        def answer(error: HoldfastError | None) -> None:
            assert name not in self.answers, f"{name} answered twice"
            self.answers[name] = error

        def reply(_: Reply) -> None:
            answer(None)

        self.queue.put(Call(Op.SQL, {}, name.encode(), reply, answer))

    def run(self, call: Call) -> None:
        name = call.body.decode()
        self.ran.append(name)
        if name.startswith("aside"):
            self.queue.aside(self.work(call), call)
        elif name.startswith("bad"):
            raise SqlError(name)
        else:
            call.reply(Reply())

    async def work(self, call: Call) -> None:
        await self.go_on.wait()
        if b"error" in call.body:
            raise SqlError("no such table")
        if b"mistake" in call.body:
            raise KeyError("a mistake of ours")
        call.reply(Reply())


async def a_pass() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


@virtual
async def test_a_call_runs_at_once_and_an_error_is_its_answer() -> None:
    turns = Turns()
    turns.put("a")
    turns.put("bad")
    assert turns.ran == ["a", "bad"] and turns.answers["a"] is None and isinstance(turns.answers["bad"], SqlError)


@virtual
async def test_calls_wait_behind_a_turn_that_runs_aside_in_order() -> None:
    turns = Turns()
    for name in ("aside", "b", "bad", "aside 2", "c"):
        turns.put(name)
    assert turns.ran == ["aside"] and turns.queue.blocked and len(turns.queue) == 4
    turns.go_on.set()
    await a_pass()
    assert turns.ran == ["aside", "b", "bad", "aside 2", "c"] and len(turns.answers) == 5
    assert not turns.queue.blocked and len(turns.queue) == 0


@virtual
@pytest.mark.parametrize(("name", "kind"), [("aside error", SqlError), ("aside mistake", HoldfastError)])
async def test_a_turn_aside_that_fails_is_answered_and_the_next_runs(name: str, kind: type[HoldfastError]) -> None:
    turns = Turns()
    turns.put(name)
    turns.put("next")
    turns.go_on.set()
    await a_pass()
    assert isinstance(turns.answers[name], kind) and turns.answers["next"] is None


@virtual
@pytest.mark.parametrize("started", [True, False])
async def test_a_turn_aside_that_is_called_off_may_have_run(started: bool) -> None:
    turns = Turns()
    turns.put("aside")
    if started:
        await a_pass()
    turns.tasks[0].cancel()
    await a_pass()
    assert isinstance(turns.answers["aside"], OutcomeUnknownWrite) and not turns.queue.blocked


@virtual
async def test_what_waits_can_be_refused_as_not_run() -> None:
    turns = Turns()
    turns.put("aside")
    turns.put("b")
    turns.queue.refuse_all(ActivationEnded("over"))
    turns.go_on.set()
    await a_pass()
    assert isinstance(turns.answers["b"], ActivationEnded) and turns.ran == ["aside"]


@virtual
async def test_idle_is_when_nothing_runs_aside_and_nothing_waits() -> None:
    turns = Turns()
    await turns.queue.wait_idle()
    for name in ("aside", "aside 2", "c"):
        turns.put(name)
    waiting = asyncio.ensure_future(turns.queue.wait_idle())
    await a_pass()
    assert not waiting.done()
    turns.go_on.set()
    await waiting
    assert turns.ran == ["aside", "aside 2", "c"]


@virtual
async def test_more_than_may_wait_is_overload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_queue, "WAITING_MAX", 1)
    turns = Turns()
    for name in ("aside", "b", "c"):
        turns.put(name)
    assert isinstance(turns.answers["c"], Overloaded)
    turns.go_on.set()
    await a_pass()
    assert turns.answers["b"] is None
