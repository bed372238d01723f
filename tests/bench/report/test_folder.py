"""A report's folder."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.report import folder as module
from bench.report.folder import write_folder
from tests.bench.a_result import a_result


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib is not installed (make setup-bench)")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
def test_every_picture_a_report_shows_exists_twice(tmp_path: Path) -> None:
    write_folder(a_result(), tmp_path)
    names = re.findall(r"!\[.*?\]\((.*?)\.png\)", (tmp_path / "README.md").read_text())
    assert set(names) == {"throughput-1", "latency-1", "tail-1", "activation", "cost"}
    for name in names:
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
        assert "<svg" in (tmp_path / f"{name}.svg").read_text()


def test_without_matplotlib_there_is_a_report_without_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    write_folder(a_result(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "results.json"]
    assert ".png" not in (tmp_path / "README.md").read_text()
