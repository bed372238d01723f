"""Who leaves: the idle ones, longest idle first, never those in use, never more than needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.hosting.eviction import SLACK_DIVISOR, Occupant, plan_idle_eviction, plan_room
from storage.layout.address import Address

occupants = st.lists(st.tuples(st.integers(0, 500), st.floats(0, 100), st.booleans()), max_size=12).map(
    lambda rows: [Occupant(Address(f"u{n}", "p"), size, used, idle) for n, (size, used, idle) in enumerate(rows)]
)


def test_only_the_long_idle_leave() -> None:
    here = [Occupant(Address(name, "p"), 1, used, idle) for name, used, idle in
            (("old", 0.0, True), ("fresh", 95.0, True), ("busy", 0.0, False))]  # fmt: skip
    assert plan_idle_eviction(here, now=100.0, idle_evict_s=10) == (Address("old", "p"),)


@given(occupants, st.integers(0, 1000), st.integers(1, 3000))
def test_room_is_made_by_idle_ones_least_recently_used_first(here: list[Occupant], needed: int, budget: int) -> None:
    held = sum(occupant.memory_bytes for occupant in here)
    plan = plan_room(here, needed_bytes=needed, held_bytes=held, memory_bytes_max=budget)
    by_address = {occupant.address: occupant for occupant in here}
    idle = [occupant for occupant in here if occupant.idle]
    if plan is None:
        assert held + needed - sum(occupant.memory_bytes for occupant in idle) > budget
        return
    leaving = [by_address[address] for address in plan]
    assert all(occupant.idle for occupant in leaving)
    left = held - sum(occupant.memory_bytes for occupant in leaving)
    assert left + needed <= budget
    staying = [occupant for occupant in idle if occupant not in leaving]
    if leaving:
        assert held + needed > budget
        assert max(o.last_used for o in leaving) <= min((o.last_used for o in staying), default=float("inf"))
        without_last = left + leaving[-1].memory_bytes + needed
        assert without_last > budget or left + needed >= budget - budget // SLACK_DIVISOR


def test_nobody_leaves_while_there_is_room() -> None:
    here = [Occupant(Address("a", "p"), 50, 0.0, True)]
    assert plan_room(here, needed_bytes=50, held_bytes=50, memory_bytes_max=100) == ()
