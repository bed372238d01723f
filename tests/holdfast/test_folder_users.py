"""Processes that name a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.folder_users import end_folder_users, folder_users

WAIT = "import sys; sys.stdin.read()"


@pytest.mark.system
def test_only_processes_that_name_the_folder_are_ended(tmp_path: Path) -> None:
    with (
        subprocess.Popen([sys.executable, "-c", WAIT, f"--temp-dir={tmp_path}/r"], stdin=subprocess.PIPE) as user,
        subprocess.Popen([sys.executable, "-c", WAIT], stdin=subprocess.PIPE) as other,
    ):
        # A child's arguments are its own once Popen returns: it waits for the exec.
        assert folder_users(tmp_path) == [user.pid]
        assert end_folder_users(tmp_path) == 1
        assert user.wait() == -9
        assert other.poll() is None
        assert folder_users(tmp_path) == []
        assert other.stdin is not None
        other.stdin.close()
        assert other.wait() == 0
