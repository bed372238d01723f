"""`holdfast bench`: what it is asked for, and reports on results that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.a_result import READ, a_result
from tests.holdfast.cli import holdfast


def test_a_report_is_made_again_from_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.report.folder.find_spec", lambda name: None)
    a_result().write(tmp_path / "results.json")
    outcome = holdfast("bench", "--from", str(tmp_path / "results.json"), "--report", str(tmp_path / "report"))
    assert (outcome.code, READ in outcome.out) == (0, True)
    assert (tmp_path / "report" / "README.md").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--contenders", "oracle"], "'oracle': expected some of shared, dedicated"),
        (["--figures", "weather"], "'weather': expected some of generator"),
    ],
)
def test_an_unknown_name_is_one_line_with_those_that_are_known(arguments: list[str], says: str) -> None:
    outcome = holdfast("bench", *arguments)
    assert outcome.code == 2 and says in outcome.err and outcome.err.count("\n") == 1


def test_results_of_another_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text('{"version": 0}')
    outcome = holdfast("bench", "--from", str(tmp_path / "old.json"))
    assert outcome.code == 2 and "results of version 0" in outcome.err
