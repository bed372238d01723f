"""Group commit: one sync for all that wait, inline or in a thread by what syncs take, never one in another's way."""

from __future__ import annotations

import asyncio

import pytest

from actors.durability import group_commit
from actors.durability.group_commit import INLINE_MEAN_MAX_S, INLINE_ONE_MAX_S, GroupCommit, JournalSync, SyncMeter
from actors.durability.journal import Journal
from storage.layout.address import Address
from tests.actors.kit import FakeDisk, HeldStore, Process, VirtualClock, a_commit, prepared, virtual

SLOW_S = 0.5


class Line:
    """One journal and what its sync was told."""

    def __init__(self, group: GroupCommit, disk: FakeDisk, name: str = "j") -> None:
        self.group = group
        self.journal = Journal(disk, name, "ab" * 16, 1)
        self.done: list[int] = []
        self.errors: list[OSError] = []
        self.sync = JournalSync(self.journal, self.done.append, self.errors.append)

    def commit(self, *numbers: int) -> None:
        for number in numbers:
            self.journal.append(a_commit(number))
            self.group.request(self.sync)


async def a_pass() -> None:
    """Let the event loop go round a few times; no time passes."""
    for _ in range(5):
        await asyncio.sleep(0)


def a_slow_group(disk: FakeDisk) -> GroupCommit:
    """Syncs have been seen to be slow."""
    disk.slow_s = SLOW_S
    group = GroupCommit(VirtualClock())
    group.meter.tell(SLOW_S)
    return group


@virtual
async def test_one_sync_serves_every_commit_that_waits() -> None:
    disk = FakeDisk()
    line = Line(GroupCommit(VirtualClock()), disk)
    line.commit(*range(1, 33))
    assert line.done == []
    await a_pass()
    assert line.done == [32] and disk.syncs == 1 and disk.thread_syncs == 0


@virtual
async def test_a_write_of_32_clients_costs_one_sync() -> None:
    store, disk = HeldStore(VirtualClock()), FakeDisk()
    actor = await prepared(Process(store, disk))
    disk.syncs = 0
    asks = [actor.write(str(number)) for number in range(32)]
    for ask in asks:
        await ask.reply()
    assert disk.syncs == 1


@virtual
async def test_journals_of_several_actors_are_synced_side_by_side_and_never_inline() -> None:
    disk = FakeDisk()
    group = GroupCommit(VirtualClock())
    lines = [Line(group, disk, f"j{number}") for number in range(3)]
    for line in lines:
        line.commit(1)
    for _ in range(2):
        await asyncio.sleep(0)
    assert (disk.syncs, disk.thread_syncs) == (0, 3)
    await asyncio.sleep(0.01)
    assert [line.done for line in lines] == [[1], [1], [1]]


@virtual
async def test_a_disk_that_turns_slow_is_synced_in_a_thread_from_the_next_sync_on() -> None:
    disk = FakeDisk(clock=VirtualClock())
    line = Line(GroupCommit(VirtualClock()), disk)
    disk.slow_s = SLOW_S
    line.commit(1)
    await a_pass()
    assert line.done == [1] and disk.thread_syncs == 0, "one sync may hold everybody up"
    line.commit(2)
    await a_pass()
    assert line.done == [1] and disk.thread_syncs == 1
    await VirtualClock().sleep(SLOW_S)
    assert line.done == [1, 2]


@virtual
async def test_a_large_commit_is_synced_in_a_thread_and_the_small_ones_behind_it_inline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = FakeDisk()
    line = Line(GroupCommit(VirtualClock()), disk)
    line.journal.append(a_commit(1))
    monkeypatch.setattr(group_commit, "INLINE_BYTES_MAX", line.journal.pending_bytes)
    line.commit(2)
    await a_pass()
    assert line.done == [2] and disk.thread_syncs == 1
    line.commit(3)
    await a_pass()
    assert line.done == [2, 3] and disk.thread_syncs == 1


@virtual
async def test_a_disk_that_is_quick_again_is_synced_inline_again() -> None:
    disk = FakeDisk()
    group = a_slow_group(disk)
    line = Line(group, disk)
    disk.slow_s = 0.0
    number = 0
    while not group.meter.inline():
        number += 1
        assert number < 200
        line.commit(number)
        await a_pass()
    disk.thread_syncs = 0
    line.commit(number + 1)
    await a_pass()
    assert disk.thread_syncs == 0 and line.done[-1] == number + 1


@virtual
async def test_a_slow_disk_holds_up_no_other_actors_reads() -> None:
    store, clock = HeldStore(VirtualClock()), VirtualClock()
    slow_disk = FakeDisk(clock=clock)
    process = Process(store, slow_disk)
    writer = await prepared(process)
    reader = await prepared(process, Address("bob", "main"))
    slow_disk.slow_s = SLOW_S
    await writer.write("measures it").reply()
    began = clock.now()
    writing = writer.write("slow")
    for _ in range(100):
        assert await reader.notes() == []
    assert clock.now() == began and not writing.answered
    await writing.reply()


@virtual
async def test_commits_made_while_a_thread_syncs_get_the_next_sync_and_are_not_told_before() -> None:
    disk = FakeDisk()
    line = Line(a_slow_group(disk), disk)
    line.commit(1)
    await a_pass()
    line.commit(2, 3)
    await VirtualClock().sleep(SLOW_S)
    await a_pass()
    assert line.done == [1] and disk.thread_syncs == 2
    await VirtualClock().sleep(SLOW_S)
    assert line.done == [1, 3]


@virtual
async def test_a_slow_journal_does_not_keep_others_from_their_threads() -> None:
    disk, quick = FakeDisk(), FakeDisk()
    group = a_slow_group(disk)
    disk.hold_threads = True
    slow, fast = Line(group, disk, "slow"), Line(group, quick, "fast")
    slow.commit(1)
    fast.commit(1)
    await a_pass()
    assert (slow.done, fast.done) == ([], [1])
    disk.let_threads_go()
    await a_pass()
    assert slow.done == [1]


@virtual
async def test_a_failed_sync_is_told_inline_and_from_a_thread() -> None:
    for group_of in (lambda disk: GroupCommit(VirtualClock()), a_slow_group):
        disk = FakeDisk()
        line = Line(group_of(disk), disk)
        disk.broken = True
        line.commit(1)
        await VirtualClock().sleep(1.0)
        assert line.done == [] and len(line.errors) == 1
        line.commit(2)
        await VirtualClock().sleep(1.0)
        assert len(line.errors) == 1, "a failed journal is not synced again"


@virtual
async def test_a_closed_journal_is_told_nothing() -> None:
    disk = FakeDisk()
    group = a_slow_group(disk)
    line, waiting = Line(group, disk), Line(group, disk, "k")
    line.commit(1)
    await a_pass()
    waiting.commit(1)
    line.sync.closed = waiting.sync.closed = True
    await VirtualClock().sleep(1.0)
    line.commit(2)
    await VirtualClock().sleep(1.0)
    assert line.done == waiting.done == [] and line.errors == []


@virtual
async def test_sync_now_syncs_before_it_returns() -> None:
    disk = FakeDisk()
    line = Line(GroupCommit(VirtualClock()), disk)
    line.journal.append(a_commit(1))
    line.group.sync_now(line.sync)
    assert line.done == [1]
    line.group.sync_now(line.sync)
    assert disk.syncs == 1


def test_the_meter_follows_the_running_mean_and_believes_one_very_slow_sync_at_once() -> None:
    meter = SyncMeter()
    assert meter.inline()
    for _ in range(100):
        meter.tell(INLINE_MEAN_MAX_S / 2)
    assert meter.inline()
    meter.tell(INLINE_ONE_MAX_S * 2)
    assert not meter.inline()
    for _ in range(100):
        meter.tell(INLINE_MEAN_MAX_S / 2)
    assert meter.inline()
    for _ in range(100):
        meter.tell(INLINE_MEAN_MAX_S * 2)
    assert not meter.inline()
