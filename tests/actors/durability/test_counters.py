"""Counts for metrics: the histogram of held replies, and what an actor's life counts."""

from __future__ import annotations

from actors.durability.counters import GATE_WAIT_BOUNDS_S, WaitCounts
from tests.actors.kit import FakeDisk, HeldStore, Process, VirtualClock, prepared, virtual


def test_each_wait_is_counted_once_in_its_bucket() -> None:
    waits = WaitCounts()
    for seconds in (0.0, GATE_WAIT_BOUNDS_S[0], 0.3, 99.0):
        waits.observe(seconds)
    assert waits.counts[0] == 2 and waits.counts[-1] == 1 and sum(waits.counts) == 4
    assert waits.counts[GATE_WAIT_BOUNDS_S.index(0.5)] == 1 and waits.total_s == 99.3 + GATE_WAIT_BOUNDS_S[0]


@virtual
async def test_a_recovery_and_a_takeover_are_counted_where_they_happen() -> None:
    store, machine = HeldStore(VirtualClock()), FakeDisk("m1")
    first = Process(store, machine)
    await prepared(first)
    first.kill()
    second = Process(store, machine, seed=1)
    await second.activate()
    second.kill()
    third = Process(store, FakeDisk("m2"))
    await (await third.activate()).release()
    fourth = Process(store, machine, seed=2)
    await fourth.activate()
    found = [
        (each.parts.counters.activations, each.parts.counters.recoveries, each.parts.counters.takeovers)
        for each in (first, second, third, fourth)
    ]
    assert found == [(1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 0)]
    assert first.parts.counters.flushes == 1 and first.parts.counters.flushed_bytes > 0
