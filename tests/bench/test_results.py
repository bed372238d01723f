"""Results as a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.results import Results
from tests.bench.a_result import a_result


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    a_result().write(tmp_path / "deep" / "results.json")
    read = Results.from_json(json.loads((tmp_path / "deep" / "results.json").read_text()))
    assert read.to_json() == a_result().to_json()


def test_results_of_another_version_are_refused() -> None:
    with pytest.raises(ValueError, match="version 99"):
        Results.from_json({**a_result().to_json(), "version": 99})
