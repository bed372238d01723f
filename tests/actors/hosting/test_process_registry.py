"""Which host processes are left: by pid, start time and boot id, and ended before anything is claimed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.errors import ActorError
from actors.hosting.process_registry import LeftoverAlive, ProcessRegistry


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until it is ended."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def end(registry: ProcessRegistry, *, timeout_s: float = 10, name: str | None = None) -> list[int]:
    ended = registry.end_leftovers(timeout_s=timeout_s, now=time.monotonic, sleep=time.sleep, name=name)
    return [record.pid for record in ended]


@pytest.mark.system
def test_a_leftover_is_ended_and_forgotten(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    registry = ProcessRegistry(tmp_path / "run")
    registry.register("user/alice/default", sleeper.pid)
    assert [record.name for record in registry.alive()] == ["user/alice/default"]
    assert end(ProcessRegistry(tmp_path / "run")) == [sleeper.pid]
    assert sleeper.wait(10) == -signal.SIGKILL
    assert registry.alive() == [] and list((tmp_path / "run").iterdir()) == []


@pytest.mark.system
def test_only_processes_of_one_name_are_ended_when_asked(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    registry = ProcessRegistry(tmp_path)
    registry.register("host/0", sleeper.pid)
    assert end(registry, name="host/1") == []
    assert sleeper.poll() is None


@pytest.mark.system
def test_a_zombie_counts_as_dead(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    registry = ProcessRegistry(tmp_path)
    registry.register("host/0", sleeper.pid)
    os.kill(sleeper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert registry.alive() == []


@pytest.mark.system
def test_a_pid_that_somebody_else_got_meanwhile_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    registry = ProcessRegistry(tmp_path)
    record = registry.register("host/0", sleeper.pid)
    path = next(tmp_path.iterdir())
    path.write_text(path.read_text().replace(str(record.started), str(record.started - 1)))
    assert end(registry) == [] and sleeper.poll() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.system
def test_a_record_of_another_boot_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    registry = ProcessRegistry(tmp_path)
    record = registry.register("host/0", sleeper.pid)
    path = next(tmp_path.iterdir())
    path.write_text(path.read_text().replace(record.boot_id, "another-boot"))
    assert end(registry) == [] and sleeper.poll() is None


def test_this_process_never_ends_itself(tmp_path: Path) -> None:
    registry = ProcessRegistry(tmp_path)
    record = registry.register("host/0", os.getpid())
    assert end(registry) == []
    registry.forget(record)
    assert registry.alive() == []


def test_a_broken_file_is_removed(tmp_path: Path) -> None:
    (tmp_path / "host.1.json").write_text("{")
    assert ProcessRegistry(tmp_path).alive() == [] and list(tmp_path.iterdir()) == []


def a_proc(folder: Path, *, pid: int = 4242, comm: str = "python", state: str = "S", parent: int = 1) -> Path:
    """A /proc with one process in it."""
    (folder / "sys/kernel/random").mkdir(parents=True, exist_ok=True)
    (folder / "sys/kernel/random/boot_id").write_text("boot-1\n")
    (folder / str(pid)).mkdir(exist_ok=True)
    fields = [state, str(parent), *(str(number) for number in range(5, 22)), "777", *("0" for _ in range(10))]
    (folder / str(pid) / "stat").write_text(f"{pid} ({comm}) {' '.join(fields)}")
    return folder


@pytest.mark.parametrize("comm", ["python", "ray::A (1)", "a) S 1 2 (b"])
def test_a_name_with_parentheses_does_not_confuse(tmp_path: Path, comm: str) -> None:
    registry = ProcessRegistry(tmp_path / "run", proc=a_proc(tmp_path / "proc", comm=comm))
    assert registry.register("host/0", 4242).started == 777


def test_one_that_does_not_end_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = ProcessRegistry(tmp_path / "run", proc=a_proc(tmp_path / "proc"))
    registry.register("host/0", 4242)
    monkeypatch.setattr(ProcessRegistry, "_kill", lambda self, record: None)
    with pytest.raises(LeftoverAlive, match="process 4242 of host host/0"):
        end(registry, timeout_s=0)


def test_descendants_are_found_at_any_depth(tmp_path: Path) -> None:
    proc = a_proc(tmp_path, pid=10, parent=1)
    for pid, parent in ((11, 10), (12, 11), (13, 1)):
        a_proc(tmp_path, pid=pid, parent=parent)
    assert sorted(ProcessRegistry(tmp_path / "run", proc=proc).descendants(10)) == [11, 12]


def test_a_dead_process_cannot_be_registered(tmp_path: Path) -> None:
    registry = ProcessRegistry(tmp_path / "run", proc=a_proc(tmp_path / "proc", state="Z"))
    with pytest.raises(ActorError, match="not alive"):
        registry.register("host/0", 4242)
