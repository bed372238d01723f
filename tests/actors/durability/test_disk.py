"""What every disk promises: the machine's own and the one in memory, by the same tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.durability.disk import Disk
from actors.durability.local_disk import LocalDisk
from actors.errors import AddressLocked
from tests.actors.kit import FakeDisk


@pytest.fixture(params=["local", "fake"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "fake":
        yield FakeDisk()
        return
    local = LocalDisk(tmp_path / "state")
    yield local
    local.close()


def content(disk: Disk, name: str) -> bytes:
    file = disk.open(name)
    try:
        return file.read()
    finally:
        file.close()


def test_what_was_written_is_read(disk: Disk) -> None:
    file = disk.open("journals/a/main.a.journal")
    file.write(0, b"hello")
    file.write(5, b" world")
    file.write(0, b"J")
    file.sync()
    file.close()
    assert content(disk, "journals/a/main.a.journal").rstrip(b"\0") == b"Jello world"


async def test_a_sync_in_a_thread_does_what_a_sync_does(disk: Disk) -> None:
    file = disk.open("f")
    file.write(0, b"x")
    await file.sync_in_thread()
    file.close()
    assert content(disk, "f").startswith(b"x")
    await asyncio.sleep(0)


def test_a_lock_is_held_by_one_until_it_is_released(disk: Disk) -> None:
    lock = disk.lock("journals/a/main.lock")
    with pytest.raises(AddressLocked):
        disk.lock("journals/a/main.lock")
    other = disk.lock("journals/b/main.lock")
    lock.release()
    lock.release()
    again = disk.lock("journals/a/main.lock")
    again.release()
    other.release()


def test_files_exist_from_their_opening_to_their_deletion(disk: Disk) -> None:
    assert not disk.exists("j/f")
    disk.open("j/f").close()
    assert disk.exists("j/f")
    disk.delete(["j/f", "j/never"])
    assert not disk.exists("j/f")


def test_names_are_listed_by_prefix_sorted(disk: Disk) -> None:
    for name in ("journals/b/x", "journals/a/y", "orphans/z", "journals/a.c/w"):
        disk.open(name).close()
    assert disk.list("journals/") == ["journals/a.c/w", "journals/a/y", "journals/b/x"]
    assert disk.list("journals/a/") == ["journals/a/y"] and disk.list("nothing/") == []


def test_a_disk_has_one_name(disk: Disk) -> None:
    assert disk.machine_id and disk.machine_id == disk.machine_id
