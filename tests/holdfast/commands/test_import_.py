"""`holdfast import`."""

from __future__ import annotations

from pathlib import Path

from tests.holdfast.cli import answers, holdfast


def test_the_file_is_the_requests_body(tmp_path: Path) -> None:
    source = tmp_path / "a.sqlite"
    source.write_bytes(b"y" * 5000)
    outcome = holdfast("import", "anna", str(source), "--profile", "p1", "--replace", service=answers(json={}))
    (request,) = outcome.requests
    assert (outcome.code, request.content) == (0, b"y" * 5000)
    assert request.url.path == "/v1/users/anna/profiles/p1/import"
    assert request.url.params["replace"] == "true"
    assert request.headers["content-length"] == "5000"
    assert "transfer-encoding" not in request.headers


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    outcome = holdfast("import", "anna", str(tmp_path / "none"), service=answers(json={}))
    assert (outcome.code, outcome.requests) == (1, [])
    assert outcome.err == f"holdfast: {tmp_path / 'none'}: No such file or directory\n"
