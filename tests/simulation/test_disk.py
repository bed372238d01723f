"""The simulated disk: what a crash keeps, what a restart loses, what a failed sync means, who holds a lock."""

from __future__ import annotations

import asyncio
import random

import pytest

from actors.durability.disk import DiskFull
from actors.errors import AddressLocked
from tests.simulation.disk import DiskWeather, MachineDisk, SimDisk
from tests.simulation.loop import SimLoop, make_loop
from tests.simulation.process import Process, ProcessDead

LOOP = make_loop(random.Random(0))


def a_disk(machine: MachineDisk, process: Process | None = None, loop: SimLoop = LOOP) -> SimDisk:
    return SimDisk(loop, machine, process or Process(1, "p1"))


def a_machine(seed: int = 1) -> MachineDisk:
    return MachineDisk("m0", random.Random(seed))


def test_a_process_crash_keeps_what_was_written_and_not_synced() -> None:
    machine, process = a_machine(), Process(1, "p1")
    a_disk(machine, process).open("f").write(0, b"abc")
    LOOP.kill(process)
    assert a_disk(machine, Process(2, "p2")).open("f").read() == b"abc"


def test_a_restart_keeps_what_was_synced() -> None:
    for seed in range(30):
        machine = a_machine(seed)
        file = a_disk(machine).open("f")
        file.write(0, b"synced")
        file.sync()
        file.write(6, b"lost?" * 500)
        machine.restart()
        assert bytes(machine.files["f"].durable).startswith(b"synced")


def test_a_restart_loses_tears_or_keeps_what_was_not_synced() -> None:
    left = set()
    for seed in range(60):
        machine = a_machine(seed)
        file = a_disk(machine).open("f")
        file.write(0, b"x" * 2000)
        machine.restart()
        kept = bytes(machine.files["f"].durable)
        left.add("all" if kept == b"x" * 2000 else "nothing" if not kept.strip(b"\0") else "torn")
    assert left >= {"nothing", "torn"}


def test_a_failed_sync_is_never_made_good_by_a_later_one() -> None:
    machine = a_machine()
    file = a_disk(machine).open("f")
    file.write(0, b"abc")
    machine.weather = DiskWeather(broken=1.0)
    with pytest.raises(DiskFull):
        file.sync()
    machine.weather = DiskWeather()
    file.sync()
    assert file.read() == b"abc"
    machine.restart()
    assert b"abc" not in bytes(machine.files["f"].durable)


def test_a_full_disk_refuses_writes() -> None:
    machine = a_machine()
    machine.weather = DiskWeather(full=1.0)
    with pytest.raises(DiskFull):
        a_disk(machine).open("f").write(0, b"abc")


def test_a_sync_in_a_thread_covers_what_was_written_before_it_began() -> None:
    loop = make_loop(random.Random(0))
    machine, process = a_machine(), Process(1, "p1")
    file = a_disk(machine, process, loop).open("f")

    async def work() -> None:
        file.write(0, b"before")
        syncing = loop.spawn(process, file.sync_in_thread())
        await asyncio.sleep(0.00005)
        file.write(6, b"after")
        await syncing

    loop.run(work(), steps_max=100, time_max=100)
    assert bytes(machine.files["f"].durable) == b"before"


def test_a_blocking_sync_costs_its_process_the_time_it_took() -> None:
    machine, process = a_machine(), Process(1, "p1")
    machine.weather = DiskWeather(stall=1.0, stall_s=(9.0, 10.0))
    a_disk(machine, process).open("f").sync()
    assert 9.0 <= process.debt <= 10.0


def test_a_lock_is_held_until_its_process_dies_or_releases_it() -> None:
    machine, first = a_machine(), Process(1, "p1")
    lock = a_disk(machine, first).lock("l")
    other = a_disk(machine, Process(2, "p2"))
    with pytest.raises(AddressLocked):
        other.lock("l")
    with pytest.raises(AddressLocked):
        a_disk(machine, first).lock("l")
    lock.release()
    held = other.lock("l")
    assert held is not None
    LOOP.kill(first)
    with pytest.raises(ProcessDead):
        a_disk(machine, first).lock("l")
