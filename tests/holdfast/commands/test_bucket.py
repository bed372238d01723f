"""`holdfast bucket`, on a local store."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.data_lock import DataLock
from tests.holdfast.cli import Outcome, holdfast

KEYS = ("users/u/projects/p1/output/a.mp4", "users/u/projects/p10/output/a.mp4", "ana/database.sqlite", "ana/x/y.mp4")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for key in KEYS:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(b"12345")
    return root


def bucket(data_dir: Path, *arguments: str, typed: str = "") -> Outcome:
    return holdfast("bucket", *arguments, "--data-dir", str(data_dir), typed=typed)


def keys(data_dir: Path) -> set[str]:
    return {
        str(path.relative_to(data_dir))
        for path in data_dir.rglob("*")
        if path.is_file() and ".holdfast" not in str(path.relative_to(data_dir))
    }


def test_clear_asks_for_the_buckets_name_and_deletes_everything(data_dir: Path) -> None:
    outcome = bucket(data_dir, "clear", typed="data\n")
    assert (outcome.code, "type data to go on: " in outcome.err) == (0, True)
    assert "deleted: 4 objects" in outcome.out
    assert keys(data_dir) == set()


@pytest.mark.parametrize("typed", ["", "yes\n", "dat\n"])
def test_clear_without_the_name_deletes_nothing(data_dir: Path, typed: str) -> None:
    outcome = bucket(data_dir, "clear", typed=typed)
    assert (outcome.code, "expected the name 'data'" in outcome.err) == (2, True)
    assert keys(data_dir) == set(KEYS)


def test_clear_is_refused_while_a_service_runs_on_the_directory(data_dir: Path) -> None:
    lock = DataLock(data_dir / ".holdfast")
    try:
        assert bucket(data_dir, "clear", "--confirm", "data").code == 5
    finally:
        lock.release()
    assert keys(data_dir) == set(KEYS)


def test_a_project_is_deleted_only_with_execute_and_without_its_neighbour(data_dir: Path) -> None:
    dry = bucket(data_dir, "delete", "--project", "p1", "--user", "u")
    assert (dry.code, "to delete: 1 objects" in dry.out, keys(data_dir)) == (0, True, set(KEYS))
    assert bucket(data_dir, "delete", "--project", "p1", "--user", "u", "--execute").code == 0
    assert keys(data_dir) == set(KEYS[1:])


def test_a_directory_keeps_its_databases(data_dir: Path) -> None:
    outcome = bucket(data_dir, "delete", "ana", "--execute")
    assert "kept: 1 objects" in outcome.out
    assert keys(data_dir) == set(KEYS[:3])


@pytest.mark.parametrize("arguments", [(), ("a", "--project", "p"), ("a", "--scene", "s"), ("../a",), ("/",)])
def test_wrong_usage_is_code_2(data_dir: Path, arguments: tuple[str, ...]) -> None:
    assert bucket(data_dir, "delete", *arguments).code == 2
