"""`holdfast export`."""

from __future__ import annotations

from pathlib import Path

from tests.holdfast.cli import answers, holdfast


def test_the_file_appears_with_the_streamed_bytes(tmp_path: Path) -> None:
    target = tmp_path / "a.sqlite"
    outcome = holdfast("export", "anna", "-o", str(target), service=answers(content=b"x" * 3000))
    assert (outcome.code, target.read_bytes()) == (0, b"x" * 3000)
    assert outcome.out == f"{target}: 2.9 KiB\n"
    assert outcome.requests[0].url.path == "/v1/users/anna/export"


def test_an_existing_file_is_replaced_only_with_force(tmp_path: Path) -> None:
    target = tmp_path / "a.sqlite"
    target.write_bytes(b"mine")
    assert holdfast("export", "anna", "-o", str(target), service=answers(content=b"x")).code == 2
    assert target.read_bytes() == b"mine"
    assert holdfast("export", "anna", "-o", str(target), "--force", service=answers(content=b"x")).code == 0
    assert target.read_bytes() == b"x"


def test_a_refused_export_leaves_no_file(tmp_path: Path) -> None:
    problem = {"detail": "gap", "code": "log_gap", "retryable": False}
    outcome = holdfast("export", "anna", "-o", str(tmp_path / "a.sqlite"), service=answers(503, json=problem))
    assert outcome.code == 4
    assert list(tmp_path.iterdir()) == []


def test_progress_is_shown_where_asked_for(tmp_path: Path) -> None:
    outcome = holdfast("export", "anna", "-o", str(tmp_path / "a"), "--progress", service=answers(content=b"x" * 2048))
    assert "export anna: 2.0 KiB" in outcome.err
