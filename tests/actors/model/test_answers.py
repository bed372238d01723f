"""Answers about positions: status, flush, waiting for a bookmark (rule 12)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.call import Op
from actors.errors import NotDurableYet
from actors.model.answers import TIMEOUT_S_MAX
from storage.errors import InvalidRequest, Unavailable
from storage.log.bookmark import InvalidBookmark
from tests.actors.kit import FakeDisk, HeldStore, Process, VirtualClock, prepared, virtual


def a_store() -> HeldStore:
    return HeldStore(VirtualClock())


@virtual
async def test_status_tells_positions_sizes_and_lags() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await prepared(Process(store, FakeDisk()))
    store.hold("put", "/0000/")
    bookmark = (await actor.write("w").json())["bookmark"]
    await clock.sleep(2.0)
    status = await actor.status()
    assert status["committed"] == {"commit": 3, "bookmark": bookmark}
    assert status["durable"]["local"]["commit"] == 3 and status["durable"]["r2"]["commit"] == 2
    assert (status["epoch"], status["generation"], status["mode"]) == (2, 1, "actor")
    assert (status["address"], status["host"]) == ("alice/main", "host on m1")
    assert status["log"]["slot"] == 3 and status["log"]["flush_lag_s"] == pytest.approx(2.0)
    assert status["size_bytes"] > 0 and status["memory_bytes"] > status["size_bytes"]
    store.let_go()
    await (await store.next_held()).complete()


@virtual
async def test_a_flush_is_answered_when_everything_is_in_the_bucket() -> None:
    store = a_store()
    actor = await prepared(Process(store, FakeDisk()))
    bookmark = (await actor.write("w").json())["bookmark"]
    store.hold("put", "/0000/")
    flushing = actor.ask(Op.FLUSH)
    put = await store.next_held()
    assert not flushing.answered
    await put.complete()
    assert await flushing.json() == {"bookmark": bookmark, "durability": "r2"}
    assert (await actor.ask(Op.FLUSH).json())["bookmark"] == bookmark


@virtual
async def test_rule_12_a_bookmark_is_waited_for_at_its_level_and_makes_it_happen() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await prepared(Process(store, FakeDisk()))
    bookmark = (await actor.write("w").json())["bookmark"]
    began = clock.now()
    answer = await actor.ask(Op.DURABLE, bookmark=bookmark, level="r2").json()
    assert answer == {"bookmark": bookmark, "durability": "r2", "durable": True} and clock.now() - began < 0.5


@virtual
async def test_a_bookmark_that_is_not_reached_in_time_is_told_so_and_answered_once() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await prepared(Process(store, FakeDisk()))
    bookmark = (await actor.write("w").json())["bookmark"]
    store.broken = "away"
    began = clock.now()
    with pytest.raises(NotDurableYet):
        await actor.ask(Op.DURABLE, bookmark=bookmark, level="r2", timeout_s=3).reply()
    assert clock.now() - began == pytest.approx(3.0)
    store.broken = None
    await clock.sleep(30.0)
    assert (await actor.ask(Op.DURABLE, bookmark=bookmark, level="r2").json())["durable"]


@virtual
async def test_a_later_bookmark_of_this_owner_is_waited_for() -> None:
    actor = await prepared(Process(a_store(), FakeDisk()))
    later = str(actor.keeper.bookmark_of(actor.keeper.committed + 2))
    waiting = actor.ask(Op.DURABLE, bookmark=later)
    await actor.write("one").reply()
    await asyncio.sleep(0.01)
    assert not waiting.answered
    await actor.write("two").reply()
    assert (await waiting.json())["durable"]


@virtual
async def test_a_wait_longer_than_replies_are_held_is_still_a_wait() -> None:
    store, clock = a_store(), VirtualClock()
    actor = await prepared(Process(store, FakeDisk()))
    bookmark = (await actor.write("w").json())["bookmark"]
    store.broken = "away"
    waiting = actor.ask(Op.DURABLE, bookmark=bookmark, level="r2", timeout_s=60)
    await clock.sleep(40.0)
    store.broken = None
    assert (await waiting.json())["durable"]


@virtual
@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({}, InvalidRequest),
        ({"bookmark": "latest"}, InvalidBookmark),
        ({"bookmark": 7}, InvalidRequest),
        ({"bookmark": "B", "level": "disk"}, InvalidRequest),
        ({"bookmark": "B", "timeout_s": -1}, InvalidRequest),
        ({"bookmark": "B", "timeout_s": TIMEOUT_S_MAX + 1}, InvalidRequest),
        ({"bookmark": "B", "timeout_s": True}, InvalidRequest),
        ({"bookmark": "B", "timeout_s": float("nan")}, InvalidRequest),
        ({"bookmark": "B", "timeout_s": "5"}, InvalidRequest),
    ],
)
async def test_a_question_that_is_none_is_refused(args: dict[str, Any], error: type[Exception]) -> None:
    actor = await prepared(Process(a_store(), FakeDisk()))
    if args.get("bookmark") == "B":
        args = {**args, "bookmark": str(actor.keeper.bookmark)}
    with pytest.raises(error):
        await actor.ask(Op.DURABLE, **args).reply()


@virtual
async def test_rule_7c_an_owner_that_cannot_confirm_itself_tells_nobody_that_a_write_was_lost() -> None:
    store, clock = a_store(), VirtualClock()
    machine = FakeDisk("m1")
    process = Process(store, machine)
    lost = (await (await prepared(process)).write("lost").json())["bookmark"]
    process.kill()
    actor = await Process(store, FakeDisk("m2")).activate()
    await clock.sleep(20.0)
    store.broken = "away"
    ask = actor.ask(Op.DURABLE, bookmark=lost)
    await clock.sleep(5.0)
    assert not ask.answered
    with pytest.raises(Unavailable):
        await ask.reply()
