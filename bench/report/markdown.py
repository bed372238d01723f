"""The report of a run: conditions, one table per scenario, figures, and the pictures beside it.

Every number is a median over the rounds, with the smallest and the largest in brackets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench.measurement import Measurement, Spread, cpu_us, latency_ms, rate, ratio, spread
from bench.results import Results

NOTHING = "–"
FIGURE_TITLES = {
    "activation": "Activation: first request after a restart",
    "memory": "Memory per active small database, all processes of the contender",
    "flush": "What a flush of a one-row update ships",
    "cost": "What a user's active hour costs at the bucket",
    "generator": "What the generator itself can send",
}


def write_report(results: Results, pictures: Sequence[str]) -> str:
    """The document. `pictures` are names without ending; each exists as .png and .svg beside it."""
    parts = [
        "# Performance, measured\n",
        f"Made by `{results.command}` on {results.made_at}. Numbers and histograms: [results.json](results.json).\n",
        _conditions(results),
        *(f"![{name}]({name}.png)\n" for name in pictures),
    ]
    for name, measurements in results.sessions.items():
        parts.append(f"## {name}\n")
        parts += [_scenario(measurements, scenario) for scenario in _in_order(measurements, lambda m: m.scenario)]
    for name, rows in results.figures.items():
        parts += [f"## {FIGURE_TITLES.get(name, name)}\n", _rows(rows)]
    if results.left_out:
        parts.append("## Left out\n")
        parts.append("\n".join(f"- {name}: {why}" for name, why in results.left_out.items()) + "\n")
    return "\n".join(parts)


def summary(results: Results) -> str:
    """The same as lines for a terminal: one per scenario and contender."""
    lines = []
    for measurements in results.sessions.values():
        for scenario in _in_order(measurements, lambda m: m.scenario):
            lines.append(scenario)
            ours = _ours(measurements)
            for contender in _in_order(measurements, lambda m: m.contender):
                cells = _cells(measurements, scenario, contender, ours)
                lines.append("    " + f"{contender:28}" + "  ".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines)


def _conditions(results: Results) -> str:
    machine, effort = results.machine, results.effort
    versions = {**machine["packages"], **results.versions}
    lines = [
        "## Conditions\n",
        f"- {machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, {machine['system']}, "
        f"{machine['file_system']}; an fdatasync took {machine['fdatasync_ms_p50']} ms (median) before the run. "
        "Generator, service and peers share the cores, and others may have used the machine: compare ratios.",
        f"- {effort['rounds']} rounds of {effort['duration_s']:g} s after {effort['warmup_s']:g} s of warm-up, "
        f"contenders in turns within each round, {effort['generators']} generator process(es). Load average before: "
        f"{', '.join(str(value) for value in machine['load_average'])}.",
        f"- Commit {machine['commit']}; Python {machine['python']}, SQLite {machine['sqlite_ours']} (ours) and "
        f"{machine['sqlite_peers']} (Python peers); "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".",
        "- Ours runs as `holdfast serve` does: token, guard, routing, journal with fdatasync before each "
        "acknowledgement, output gate, flushes to the local store. Peers have keep-alive, pools and prepared "
        "statements, and sync each commit.",
        "- Latency is from the moment a request was due (open loop) or sent (closed loop). CPU is processor time of "
        "all processes of a contender per request. Sync is what a page and its fdatasync took just before (median).\n",
    ]
    return "\n".join(lines)


def _scenario(measurements: Sequence[Measurement], scenario: str) -> str:
    ours = _ours(measurements)
    lines = [
        f"### {scenario}\n",
        "| | requests/s | p50 ms | p99 ms | CPU µs/request | sync ms | ours: requests/s | ours: p50 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for contender in _in_order(measurements, lambda m: m.contender):
        lines.append(f"| {contender} | " + " | ".join(_cells(measurements, scenario, contender, ours)) + " |")
    failures = [m for m in measurements if m.scenario == scenario and m.outcome.failures]
    lines += [f"\nFailures, {m.contender}, round {m.round + 1}: {dict(m.outcome.failures)}" for m in failures]
    return "\n".join(lines) + "\n"


def _cells(measurements: Sequence[Measurement], scenario: str, contender: str, ours: str | None) -> list[str]:
    def show(reading: Callable[[Measurement], float], digits: int) -> str:
        return _spread(spread(measurements, scenario, contender, reading), digits)

    against = [NOTHING, NOTHING]
    if ours is not None and contender != ours:
        against = [
            _spread(ratio(measurements, scenario, ours, contender, reading), 2, "x")
            for reading in (rate, latency_ms(50))
        ]
    cells = [show(rate, 0), show(latency_ms(50), 2), show(latency_ms(99), 2), show(cpu_us, 0)]
    return [*cells, show(lambda m: m.sync_ms, 2), *against]


def _ours(measurements: Sequence[Measurement]) -> str | None:
    return next((m.contender for m in measurements if m.contender.startswith("holdfast")), None)


def _spread(value: Spread | None, digits: int, unit: str = "") -> str:
    if value is None:
        return NOTHING
    return f"{value.median:,.{digits}f}{unit} ({value.smallest:,.{digits}f}–{value.largest:,.{digits}f})"


def _rows(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return NOTHING + "\n"
    names = list(rows[0])
    lines = ["| " + " | ".join(name.replace("_", " ") for name in names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(_value(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.6f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _in_order(measurements: Sequence[Measurement], key: Callable[[Measurement], str]) -> list[str]:
    return list(dict.fromkeys(key(m) for m in measurements))
