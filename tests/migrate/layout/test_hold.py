"""A user on the way back, or half moved, is no candidate for an actor."""

from __future__ import annotations

from migrate.layout.flat_unit import FlatUnit
from migrate.layout.hold import layout_hold
from migrate.layout.way_back import WayBack
from storage.layout.move_record import MoveState
from tests.migrate.layout.flat_bucket import ENV, FailingStore, Killed, a_flat_bucket, forward, parts

ANA = FlatUnit(ENV, "ana")


async def test_a_hold_lasts_from_the_first_copy_to_the_switch_and_from_the_way_back_on() -> None:
    store = await a_flat_bucket()
    assert await layout_hold(store, ENV, "ana") is None
    try:
        await forward(FailingStore(store, fail_at=20)).migrate(ANA)
    except Killed:
        pass
    assert await layout_hold(store, ENV, "ana") is MoveState.COPYING
    await forward(store).migrate(ANA)
    assert await layout_hold(store, ENV, "ana") is None
    await WayBack(parts(store)).roll_back(ANA, execute=True)
    assert await layout_hold(store, ENV, "ana") is MoveState.ROLLED_BACK
