"""The output gate: order, levels, confirmation after durability (rule 7c), holds (7d), closing (7e and 8)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.call import Durability
from actors.durability import gate as gate_module
from actors.durability.gate import OutputGate, Waiter
from actors.errors import ActivationEnded, Moved, Overloaded
from storage.errors import HoldfastError

MEMORY, LOCAL, R2 = Durability.MEMORY, Durability.LOCAL, Durability.R2


@dataclass
class World:
    """A gate and what it is told and asks for."""

    fresh: bool = True
    local_allowed: bool = True
    looks: int = 0
    out: list[str] = field(default_factory=list)
    dropped: dict[str, HoldfastError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gate = OutputGate(
            base=0,
            fresh=lambda: self.fresh,
            want_confirmation=self.look,
            local_allowed=lambda: self.local_allowed,
        )

    def look(self) -> None:
        self.looks += 1

    def admit(
        self, name: str, commit: int, level: Durability = LOCAL, *, wrote: bool = False, since: float = 0.0
    ) -> None:
        def drop(error: HoldfastError) -> None:
            assert name not in self.dropped and name not in self.out
            self.dropped[name] = error

        def release() -> None:
            assert name not in self.dropped and name not in self.out
            self.out.append(name)

        self.gate.admit(Waiter(commit, level, wrote, since, release, drop))


# ---- durability


def test_rule_7c_memory_waits_for_no_disk() -> None:
    world = World()
    world.admit("a", 5, MEMORY)
    assert world.out == ["a"]


def test_rule_7c_local_waits_for_the_synced_journal() -> None:
    world = World()
    world.admit("a", 1)
    world.admit("b", 2)
    world.gate.advance_local(1)
    assert world.out == ["a"]
    world.gate.advance_local(2)
    assert world.out == ["a", "b"]


def test_rule_7c_local_is_content_with_a_settled_flush() -> None:
    world = World()
    world.admit("a", 1)
    world.gate.advance_remote(1)
    assert world.out == ["a"]


def test_rule_7c_r2_waits_for_the_settled_flush_and_no_sync_will_do() -> None:
    world = World()
    world.admit("a", 1, R2)
    world.gate.advance_local(9)
    assert world.out == []
    world.gate.advance_remote(1)
    assert world.out == ["a"]


@pytest.mark.parametrize("level", [LOCAL, R2])
def test_reads_are_held_as_well_until_what_they_saw_is_durable(level: Durability) -> None:
    world = World()
    world.admit("write", 1, level, wrote=True)
    world.admit("read", 1, level)
    assert world.out == []
    world.gate.advance_local(1)
    world.gate.advance_remote(1)
    assert world.out == ["write", "read"]


def test_replies_leave_in_the_order_of_what_they_saw() -> None:
    world = World()
    for name, commit in (("later", 9), ("a", 1), ("b", 2), ("c", 2)):
        world.admit(name, commit)
    world.gate.advance_local(2)
    assert world.out == ["a", "b", "c"]
    world.gate.advance_local(9)
    assert world.out == ["a", "b", "c", "later"]


def test_positions_never_go_back() -> None:
    world = World()
    world.gate.advance_local(5)
    world.gate.advance_local(3)
    world.gate.advance_remote(4)
    world.gate.advance_remote(2)
    durable = [world.gate.durable(level) for level in (MEMORY, LOCAL, R2)]
    assert durable == [None, 5, 4]


# ---- confirmation


def test_rule_7c_a_reply_waits_for_a_look_after_the_sync() -> None:
    world = World(fresh=False)
    world.admit("a", 1)
    assert world.looks == 0, "the look comes after durability"
    world.gate.advance_local(1)
    assert (world.out, world.looks) == ([], 1)
    world.fresh = True
    world.gate.confirmed()
    assert world.out == ["a"]


def test_rule_7c_ownership_that_was_fresh_before_the_sync_does_not_count_after_it() -> None:
    world = World(fresh=True)
    world.admit("a", 1)
    world.fresh = False  # the sync took longer than the ttl
    world.gate.advance_local(1)
    assert (world.out, world.looks) == ([], 1)


def test_rule_7c_a_look_that_was_sent_too_long_ago_confirms_nothing() -> None:
    world = World(fresh=False)
    world.admit("a", 0)
    world.gate.confirmed()
    assert (world.out, world.looks) == ([], 2)


@pytest.mark.parametrize("level", [MEMORY, LOCAL, R2])
def test_rule_7c_reads_of_what_was_durable_long_ago_wait_for_a_look_too(level: Durability) -> None:
    world = World(fresh=False)
    world.admit("a", 0, level)
    assert (world.out, world.looks) == ([], 1)


def test_rule_7c_an_r2_write_whose_own_segment_settled_may_skip_the_look() -> None:
    world = World(fresh=False)
    world.admit("write", 1, R2, wrote=True)
    world.admit("read", 1, R2)
    world.gate.advance_remote(1)
    assert (world.out, world.looks) == (["write"], 1)


def test_rule_7c_a_write_in_the_journal_alone_may_not_skip_the_look() -> None:
    world = World(fresh=False)
    world.admit("write", 1, LOCAL, wrote=True)
    world.gate.advance_local(1)
    assert world.out == []


# ---- rule 7d


def test_rule_7d_local_replies_are_held_while_flushes_are_late_and_leave_when_they_are_not() -> None:
    world = World(local_allowed=False)
    world.admit("a", 1)
    world.gate.advance_local(1)
    world.gate.recheck()
    assert world.out == []
    world.local_allowed = True
    world.gate.recheck()
    assert world.out == ["a"]


def test_rule_7d_what_is_in_the_bucket_is_not_held() -> None:
    world = World(local_allowed=False)
    world.admit("a", 1)
    world.gate.advance_remote(1)
    assert world.out == ["a"]


# ---- endings


def test_rule_8_a_closed_gate_lets_nothing_out_for_good() -> None:
    world = World()
    world.admit("before", 1)
    world.gate.close(Moved("m"))
    world.gate.advance_local(9)
    world.gate.advance_remote(9)
    world.gate.confirmed()
    world.admit("after", 0, MEMORY)
    assert world.out == [] and isinstance(world.dropped["after"], Moved)


def test_rule_7e_after_a_hand_over_what_is_in_the_log_may_be_told_and_the_rest_is_dropped() -> None:
    world = World()
    world.admit("handed over", 1, LOCAL, wrote=True)
    world.admit("never shipped", 2, LOCAL, wrote=True)
    world.gate.close(Moved("m"))
    world.gate.advance_remote(1)
    world.gate.release_settled()
    assert world.out == ["handed over"]
    world.gate.fail_all(Moved("m"))
    assert list(world.dropped) == ["never shipped"]


def test_every_waiter_is_dropped_once_when_the_gate_breaks() -> None:
    world = World(fresh=False)
    world.admit("local", 1)
    world.admit("remote", 1, R2)
    world.admit("confirmation", 0)
    error = ActivationEnded("broken")
    world.gate.fail_all(error)
    world.gate.fail_all(Moved("again"))
    assert world.dropped == dict.fromkeys(("local", "remote", "confirmation"), error)
    assert world.gate.waiting == 0 and world.gate.closed is error


def test_replies_that_are_held_for_too_long_give_up() -> None:
    world = World(fresh=False)
    world.admit("old", 1, since=10.0)
    world.admit("young", 1, since=20.0)
    world.admit("old remote", 1, R2, since=9.0)
    world.admit("old confirmation", 0, since=8.0)
    assert world.gate.oldest_since() == 8.0
    world.gate.drop_older_than(15.0, HoldfastError("late"))
    assert sorted(world.dropped) == ["old", "old confirmation", "old remote"] and world.gate.waiting == 1


def test_whoever_waits_for_a_commit_that_will_never_come_can_be_dropped() -> None:
    world = World()
    world.admit("soon", 2)
    world.admit("never", 3)
    world.admit("never in r2", 9, R2)
    world.gate.drop_beyond(2, ActivationEnded("released"))
    assert sorted(world.dropped) == ["never", "never in r2"] and world.gate.waiting == 1


def test_replies_beyond_the_bound_are_refused_as_overload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "WAITERS_MAX", 2)
    world = World()
    for name in ("a", "b", "c"):
        world.admit(name, 1)
    assert list(world.dropped) == ["c"] and isinstance(world.dropped["c"], Overloaded)


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), st.integers(0, 6), st.sampled_from(Durability), st.booleans()),
        st.tuples(st.sampled_from(["local", "remote"]), st.integers(0, 6)),
        st.tuples(st.sampled_from(["stale", "confirm", "late", "recover"])),
        st.tuples(st.just("close")),
    ),
    max_size=25,
)


@given(EVENTS)
def test_no_reply_before_durable_and_every_waiter_ends_once(events: list[tuple[object, ...]]) -> None:
    world = World()
    asked: dict[str, tuple[int, Durability, bool]] = {}
    for index, event in enumerate(events):
        before = len(world.out)
        match event:
            case ("admit", int(commit), Durability() as level, bool(wrote)):
                asked[str(index)] = (commit, level, wrote)
                world.admit(str(index), commit, level, wrote=wrote)
            case ("local", int(commit)):
                world.gate.advance_local(commit)
            case ("remote", int(commit)):
                world.gate.advance_remote(commit)
            case ("stale",):
                world.fresh = False
            case ("confirm",):
                world.fresh = True
                world.gate.confirmed()
            case ("late",):
                world.local_allowed = False
            case ("recover",):
                world.local_allowed = True
                world.gate.recheck()
            case _:
                world.gate.close(Moved("m"))
        for name in world.out[before:]:
            commit, level, wrote = asked[name]
            durable = world.gate.durable(level)
            assert durable is None or commit <= durable
            assert world.fresh or (wrote and commit <= world.gate.remote)
            assert world.gate.closed is None
    world.gate.fail_all(Moved("the end"))
    assert set(world.out) | set(world.dropped) == set(asked) and not set(world.out) & set(world.dropped)
