"""The pictures of a report, each as PNG and SVG. Drawn without a display; the one file that needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "holdfast"

from matplotlib import pyplot  # noqa: E402 (the display is chosen before)

from bench.measurement import Measurement, Reading, latency_ms, rate, spread  # noqa: E402
from bench.results import Results  # noqa: E402

COLOURS = ("#1b6ca8", "#f28e2b", "#59a14f", "#b07aa1", "#9c755f")
PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9)


def draw_plots(results: Results, folder: Path) -> list[str]:
    """Write them into `folder`; their names without ending."""
    names = []
    for number, (session, measurements) in enumerate(results.sessions.items(), 1):
        for what, reading, label, log in (
            ("throughput", rate, "requests/s", False),
            ("latency", latency_ms(50), "p50, ms", True),
        ):
            figure = _bars(measurements, reading, f"{session}: {label}", label, log=log)
            names.append(_save(figure, folder, f"{what}-{number}"))
        opened = [m for m in measurements if "offered" in m.scenario]
        if opened:
            names.append(_save(_tails(opened), folder, f"tail-{number}"))
    drawn = {"activation": _activation, "cost": _cost}
    for name, draw in drawn.items():
        if results.figures.get(name):
            names.append(_save(draw(results.figures[name]), folder, name))
    return names


def _bars(measurements: Sequence[Measurement], reading: Reading, title: str, label: str, *, log: bool) -> Any:
    scenarios = list(dict.fromkeys(m.scenario for m in measurements))
    contenders = list(dict.fromkeys(m.contender for m in measurements))
    figure, axes = pyplot.subplots(figsize=(11, 1.2 + 0.85 * len(scenarios)))
    height = 0.8 / len(contenders)
    for number, contender in enumerate(contenders):
        found = [spread(measurements, scenario, contender, reading) for scenario in scenarios]
        at = [index + number * height for index in range(len(scenarios))]
        values = [one.median if one else 0 for one in found]
        errors = [[one.median - one.smallest if one else 0 for one in found],
                  [one.largest - one.median if one else 0 for one in found]]  # fmt: skip
        axes.barh(at, values, height * 0.92, xerr=errors, label=contender, color=COLOURS[number % len(COLOURS)],
                  error_kw={"elinewidth": 0.8, "ecolor": "#444444"})  # fmt: skip
    axes.set_yticks([index + 0.4 - height / 2 for index in range(len(scenarios))], scenarios)
    axes.invert_yaxis()
    if log:
        axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.set_title(title)
    axes.legend(fontsize="small")
    return figure


def _tails(measurements: Sequence[Measurement]) -> Any:
    figure, axes = pyplot.subplots(figsize=(9, 5))
    for number, contender in enumerate(dict.fromkeys(m.contender for m in measurements)):
        found = [spread(measurements, measurements[0].scenario, contender, latency_ms(p)) for p in PERCENTILES]
        values = [one.median for one in found if one]
        if len(values) == len(PERCENTILES):
            axes.plot(
                range(len(PERCENTILES)), values, marker="o", label=contender, color=COLOURS[number % len(COLOURS)]
            )
    axes.set_xticks(range(len(PERCENTILES)), [f"p{p:g}" for p in PERCENTILES])
    axes.set_yscale("log")
    axes.set_ylabel("ms from the moment a request was due")
    axes.set_title(measurements[0].scenario)
    axes.legend()
    return figure


def _activation(rows: Sequence[dict[str, Any]]) -> Any:
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    contenders = list(dict.fromkeys(row["contender"] for row in rows))
    for number, contender in enumerate(contenders):
        own = [row for row in rows if row["contender"] == contender]
        at = [index + number * 0.8 / len(contenders) for index in range(len(own))]
        axes.bar(at, [row["p50_ms"] for row in own], 0.75 / len(contenders), label=contender, color=COLOURS[number])
        axes.set_xticks(range(len(own)), [f"{row['mebibytes']} MiB" if row["mebibytes"] else "new" for row in own])
    axes.set_ylabel("first request, p50, ms")
    axes.set_title("Activation")
    axes.legend()
    return figure


def _cost(rows: Sequence[dict[str, Any]]) -> Any:
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.45 * len(rows)))
    names = [row["way"] for row in rows]
    axes.barh(names, [row["dollars_per_hour"] * 1000 for row in rows], color=COLOURS[0])
    axes.invert_yaxis()
    axes.set_xlabel("dollars per 1,000 active user-hours, operations only")
    axes.set_title("Cost at the bucket")
    return figure


def _save(figure: Any, folder: Path, name: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(folder / f"{name}.png", dpi=110)
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    pyplot.close(figure)
    return name
