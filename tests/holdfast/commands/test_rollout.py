"""`holdfast rollout`: what each action changes in the bucket, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.holdfast.cli import Outcome, holdfast


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def rollout(folder: Path, *arguments: str) -> Outcome:
    return holdfast("rollout", *arguments, "--data-dir", str(folder), environ={"USER": "ops"})


def document(folder: Path) -> dict[str, object]:
    shown = rollout(folder, "show", "--json")
    assert shown.code == 0, shown.err
    found: dict[str, object] = json.loads(shown.out)
    return found


def test_a_new_bucket_moves_nobody(folder: Path) -> None:
    shown = rollout(folder, "show", "alice")
    assert shown.code == 0
    assert "dev: 0 percent, 0 allowed, 0 denied (revision 0)" in shown.out
    assert "alice  no        default" in shown.out


def test_each_action_changes_what_it_names(folder: Path) -> None:
    for arguments in (["set", "25"], ["allow", "a", "b"], ["deny", "b"], ["pause"], ["kill"]):
        assert rollout(folder, *arguments).code == 0
    found = document(folder)
    assert (found["percent"], found["allow"], found["deny"], found["paused"], found["killed"]) == (
        25.0,
        ["a"],
        ["b"],
        True,
        True,
    )
    assert (found["revision"], found["by"]) == (5, "ops")
    for arguments in (["pause", "--off"], ["kill", "--off"], ["deny", "b", "--remove"]):
        assert rollout(folder, *arguments).code == 0
    found = document(folder)
    assert (found["deny"], found["paused"], found["killed"]) == ([], False, False)


def test_show_says_what_the_document_says_of_users(folder: Path) -> None:
    rollout(folder, "allow", "alice")
    rollout(folder, "deny", "bob")
    shown = rollout(folder, "show", "alice", "bob").out
    assert "alice  yes       allowed" in shown
    assert "bob    no        denied" in shown


def test_what_is_no_percentage_or_user_is_wrong_usage_and_changes_nothing(folder: Path) -> None:
    for arguments in (["set", "101"], ["set", "0.001"], ["allow", "a/b"]):
        failed = rollout(folder, *arguments)
        assert failed.code == 2
        assert failed.err
    assert document(folder)["revision"] == 0


def test_a_missing_data_directory_is_not_made(tmp_path: Path) -> None:
    assert rollout(tmp_path / "none", "set", "5").code == 2
    assert not (tmp_path / "none").exists()
