"""Checks of the data directory."""

from __future__ import annotations

import os
from pathlib import Path

from holdfast.data_lock import DataLock
from holdfast.doctor.disk import check_flock, check_lock, check_room, check_writable


def test_a_directory_of_ours_passes_and_nothing_stays_behind(tmp_path: Path) -> None:
    local_dir = tmp_path / "data" / ".holdfast"
    for check in (check_writable, check_room, check_flock, check_lock):
        finding = check(local_dir)
        assert finding.holds, finding.line()
    assert [path.name for path in local_dir.iterdir()] == ["service.lock"]


def test_a_path_below_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for check in (check_writable, check_room, check_flock, check_lock):
        finding = check(tmp_path / "file" / ".holdfast")
        assert not finding.holds
        assert str(tmp_path / "file") in finding.text


def test_a_served_directory_is_told_with_the_pid(tmp_path: Path) -> None:
    lock = DataLock(tmp_path)
    finding = check_lock(tmp_path)
    lock.release()
    assert not finding.holds
    assert f"process {os.getpid()}" in finding.text
