"""Processes as /proc shows them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.process_table import cpu_seconds, private_bytes, with_descendants

GRANDCHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"


@pytest.mark.system
def test_a_process_is_found_with_children_and_grandchildren() -> None:
    child = subprocess.Popen([sys.executable, "-c", GRANDCHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline() == b"1\n"
        found = with_descendants(os.getpid())
        assert found[0] == os.getpid() and child.pid in found
        assert len(with_descendants(child.pid)) == 2
    finally:
        child.communicate(b"\n")


def test_this_process_has_memory_and_has_used_time() -> None:
    assert private_bytes(os.getpid()) > 1 << 20
    assert cpu_seconds(os.getpid()) > 0


def test_a_process_that_is_gone_has_neither() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert (private_bytes(gone.pid), cpu_seconds(gone.pid), with_descendants(gone.pid)) == (0, 0.0, [gone.pid])
