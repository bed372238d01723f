"""`holdfast doctor`, Ray included."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.slow]


def doctor(data_dir: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    return subprocess.run(
        [sys.executable, "-m", "holdfast", "doctor", "--data-dir", str(data_dir)],
        env={**kept, "HOLDFAST_PORT": "0", **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_one_line_per_check_and_exit_code_1_when_any_fails(tmp_path: Path) -> None:
    done = doctor(tmp_path / "data", HOLDFAST_HOST="0.0.0.0")
    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stderr
    assert lines[-1] == f"1 of {len(lines) - 1} checks failed"
    failed = [line.split()[1] for line in lines if line.startswith("failed")]
    assert failed == ["token"]
    assert {line.split()[1] for line in lines[:-1]} >= {"python", "ray", "flock", "port", "object", "boot", "free"}
