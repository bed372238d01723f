"""Conditional writes of the local store hold between processes, also when some of them are killed or stopped."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from storage.clock import SystemClock
from storage.errors import ObjectNotFound, Unavailable
from storage.objects import local_lock
from storage.objects.local import LocalStore
from storage.objects.local_lock import StripedLocks
from tests.servers import end_with_parent

REPOSITORY = Path(__file__).parents[3]
PROCESSES = 4


def start(mode: str, root: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.storage.objects.racer", mode, str(root), name, str(count)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_parent,
    )


def finish(processes: list[subprocess.Popen[str]]) -> list[str]:
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return outputs


@pytest.mark.system
async def test_of_processes_that_create_one_key_exactly_one_wins(tmp_path: Path) -> None:
    outputs = finish([start("create", tmp_path, f"p{n}", 100) for n in range(PROCESSES)])
    won = {int(line): f"p{n}" for n, output in enumerate(outputs) for line in output.split()}
    assert sum(len(output.split()) for output in outputs) == len(won) == 100
    store = LocalStore(tmp_path, SystemClock())
    for n, winner in won.items():
        found = await store.get(f"dev/slots/{n}")
        assert (found.body.decode(), found.info.metadata["by"]) == (winner, winner)
    await store.close()


@pytest.mark.system
async def test_a_counter_raised_by_processes_is_exact(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, SystemClock())
    await store.put("dev/counter", b"0", metadata={"value": "0"})
    finish([start("count", tmp_path, f"p{n}", 50) for n in range(PROCESSES)])
    assert (await store.get("dev/counter")).body == b"%d" % (PROCESSES * 50)
    await store.close()


@pytest.mark.system
async def test_a_killed_writer_leaves_a_whole_object_and_nothing_it_acknowledged_is_lost(tmp_path: Path) -> None:
    rng = random.Random(11)
    for _ in range(4):
        process = start("hammer", tmp_path, "p", 0)
        assert process.stdout is not None
        acknowledged = [process.stdout.readline() for _ in range(rng.randrange(1, 60))]
        process.kill()
        acknowledged += process.communicate()[0].splitlines(keepends=True)
        last = int([line for line in acknowledged if line.endswith("\n")][-1])
        store = LocalStore(tmp_path, SystemClock())
        found = await store.get("dev/object")
        number = int(found.info.metadata["n"])
        assert found.body == b"%d" % number * 500
        assert number in (last, last + 1)
        assert await store.head("dev/object") == found.info
        assert list((tmp_path / ".holdfast/tmp/objects").iterdir()) == []
        await store.delete("dev/object")
        await store.close()


async def test_a_lock_held_too_long_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_lock, "LOCK_WAIT_S", 0.02)
    store = LocalStore(tmp_path, SystemClock())
    with StripedLocks(str(tmp_path / ".holdfast/locks/objects"), SystemClock()).hold("dev/a"):
        with pytest.raises(Unavailable, match="another writer"):
            await store.put("dev/a", b"x", if_none_match="*")
        with suppress(ObjectNotFound):  # readers never wait
            await store.get("dev/a")
    await store.put("dev/a", b"x", if_none_match="*")
    assert os.listdir(tmp_path / ".holdfast/tmp/objects") == []
    await store.close()
