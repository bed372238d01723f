"""Turns to save."""

from __future__ import annotations

from storage.layout.address import Address
from storage.r2_sqlite import lane as lane_module
from storage.r2_sqlite.lane import Lanes
from tests.actors.virtual_time import VirtualClock, virtual

ALICE, BOB = Address("alice", "main"), Address("bob", "main")


@virtual
async def test_a_lane_is_free_when_nobody_has_it_and_its_pause_is_over() -> None:
    clock = VirtualClock()
    lanes = Lanes(clock, interval_s=1.0, waiting_max=4)
    lane = lanes.of(ALICE)
    assert lanes.is_free(lane)
    async with lanes.turn(lane, ALICE):
        assert not lanes.is_free(lane)
        await lanes.pace(lane)
    assert not lanes.is_free(lane)
    await clock.sleep(1.0)
    assert lanes.is_free(lane)
    assert lanes.is_free(lanes.of(BOB))


@virtual
async def test_lanes_in_use_are_never_forgotten_and_idle_ones_are() -> None:
    lanes = Lanes(VirtualClock(), interval_s=1.0, waiting_max=4)
    used = lanes.of(ALICE)
    async with lanes.turn(used, ALICE):
        for number in range(lane_module.LANES_MAX + 10):
            lanes.of(Address(f"user{number}", "main"))
        assert lanes.of(ALICE) is used
        assert len(lanes._lanes) <= lane_module.LANES_MAX + 1
