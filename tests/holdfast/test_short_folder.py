"""A folder with a short path."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast import short_folder
from holdfast.short_folder import PATH_BYTES_MAX, ShortFolder


def test_it_is_short_however_long_the_temporary_folder_is(tmp_path: Path) -> None:
    folder = ShortFolder(tmp_path, temporary=tmp_path / ("x" * 100))
    assert len(str(folder.path)) <= PATH_BYTES_MAX
    assert folder.path.is_dir()
    folder.remove()
    assert not folder.path.exists()


def test_the_next_service_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    killed = ShortFolder(tmp_path)
    (killed.path / "socket").write_bytes(b"")
    following = ShortFolder(tmp_path)
    assert not killed.path.exists()
    following.remove()
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_note_that_names_another_folder_removes_nothing(tmp_path: Path) -> None:
    other = tmp_path / "mine"
    other.mkdir()
    (tmp_path / "short-folder").write_text(str(other))
    ShortFolder(tmp_path).remove()
    assert other.is_dir()


def test_a_folder_that_somebody_still_writes_into_is_left_to_the_next_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short_folder, "ATTEMPT_PAUSE_S", 0.0)
    first = ShortFolder(tmp_path)
    with monkeypatch.context() as busy:
        busy.setattr("shutil.rmtree", lambda folder, ignore_errors: None)
        first.remove()
    assert first.path.exists()
    second = ShortFolder(tmp_path)
    assert not first.path.exists()
    second.remove()
    assert list(tmp_path.iterdir()) == []
