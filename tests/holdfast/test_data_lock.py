"""The lock on a data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.data_lock import DataLock
from holdfast.exit_code import Busy

HOLD = """
import sys
from pathlib import Path
from holdfast.data_lock import DataLock
lock = DataLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_holder_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    lock = DataLock(tmp_path / ".holdfast")
    with pytest.raises(Busy, match=f"data directory {tmp_path}: already served by process {os.getpid()}"):
        DataLock(tmp_path / ".holdfast")
    lock.release()
    DataLock(tmp_path / ".holdfast").release()


def test_a_killed_holder_leaves_the_directory_free(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / ".holdfast")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert holder.stdin and holder.stdout
    with holder.stdin, holder.stdout:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Busy, match=f"process {holder.pid}$"):
            DataLock(tmp_path / ".holdfast")
        holder.kill()
        holder.wait()
    DataLock(tmp_path / ".holdfast").release()
