"""The machine's own disk: what only real files have."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.durability.disk import DiskFull
from actors.durability.local_disk import GROW_BYTES, LocalDisk
from actors.errors import AddressLocked
from storage.errors import Unavailable


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LocalDisk]:
    made = LocalDisk(tmp_path)
    yield made
    made.close()


def test_the_machine_id_is_made_once_and_kept(tmp_path: Path) -> None:
    first, second = LocalDisk(tmp_path / "a"), LocalDisk(tmp_path / "a")
    other = LocalDisk(tmp_path / "b")
    assert first.machine_id == second.machine_id != other.machine_id
    assert len(first.machine_id) == 32
    for each in (first, second, other):
        each.close()


def test_a_machine_id_that_was_cut_short_is_said_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "machine-id").write_text("")
    with pytest.raises(DiskFull, match="machine-id is empty"):
        LocalDisk(tmp_path)


def test_files_grow_in_zeroed_chunks_and_are_overwritten_in_place(disk: LocalDisk, tmp_path: Path) -> None:
    file = disk.open("j")
    file.write(0, b"a" * 100)
    assert (tmp_path / "j").stat().st_size == GROW_BYTES
    file.write(100, b"b" * 50)
    file.write(0, b"c")
    data = file.read()
    assert data[:150] == b"c" + b"a" * 99 + b"b" * 50 and data[150:] == bytes(GROW_BYTES - 150)
    file.write(GROW_BYTES - 1, b"xy")
    assert (tmp_path / "j").stat().st_size == 2 * GROW_BYTES and file.read()[GROW_BYTES - 1 : GROW_BYTES + 1] == b"xy"
    file.close()


def test_growing_never_wipes_what_lies_ahead(disk: LocalDisk) -> None:
    """A second opening knows how long the file is."""
    file = disk.open("j")
    file.write(0, b"a" * 300)
    file.close()
    again = disk.open("j")
    again.write(0, b"b" * 10)
    assert again.read()[:300] == b"b" * 10 + b"a" * 290
    again.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_full_or_broken_disk_is_said_so(disk: LocalDisk, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    file = disk.open("j")

    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(DiskFull, match="journal j"):
        file.write(0, b"x")
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(DiskFull):
        file.sync()
    file.close()


def test_a_short_write_is_carried_on(disk: LocalDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, bytes(data[:7]), offset))
    file = disk.open("j")
    file.write(3, b"0123456789" * 5)
    assert file.read()[3:53] == b"0123456789" * 5
    file.close()


def test_a_lock_on_a_full_disk_is_held_and_released_all_the_same(
    disk: LocalDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        lock = disk.lock("l")
    lock.release()
    disk.lock("l").release()


def test_a_lock_that_cannot_be_made_is_a_typed_error(disk: LocalDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(Unavailable, match="no space left"):
        disk.lock("l")


def test_whoever_meets_a_lock_is_told_its_process(disk: LocalDisk) -> None:
    lock = disk.lock("l")
    with pytest.raises(AddressLocked, match=f"process {os.getpid()}"):
        disk.lock("l")
    lock.release()


HOLDER = """
import sys
from pathlib import Path
from actors.durability.local_disk import LocalDisk
LocalDisk(Path(sys.argv[1])).lock("l")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.system
def test_rule_2_a_lock_ends_with_its_process_even_by_sigkill(disk: LocalDisk, tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(AddressLocked):
            disk.lock("l")
    finally:
        holder.kill()
        holder.communicate()
    disk.lock("l").release()
