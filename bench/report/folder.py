"""A report's folder: README.md, results.json, and each picture as PNG and SVG."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from bench.report.markdown import write_report
from bench.results import Results


def write_folder(results: Results, folder: Path) -> None:
    """Write it anew. Without matplotlib there are no pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures: list[str] = []
    if find_spec("matplotlib") is not None:
        pictures = import_module("bench.report.plots").draw_plots(results, folder)
    results.write(folder / "results.json")
    (folder / "README.md").write_text(write_report(results, pictures), "utf-8")
