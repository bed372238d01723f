"""A process group of their own for children."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ASK = """
import os, subprocess, sys
from holdfast.process_group import children_apart
before = os.getpgrp()
with children_apart():
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpgrp())"], capture_output=True, text=True)
print(before == os.getpgrp(), before != int(child.stdout))
"""


ROOT = Path(__file__).resolve().parents[2]


def python(code: str, *, leader: bool = False) -> list[str]:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, start_new_session=leader, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_children_get_another_group_and_we_keep_ours() -> None:
    assert python(ASK) == ["True", "True"]


def test_a_sessions_leader_stays_where_it_is() -> None:
    assert python(ASK, leader=True) == ["True", "False"]
