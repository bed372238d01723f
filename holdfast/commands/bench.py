"""`holdfast bench`: ours beside its peers, in one run, with the conditions it ran under. See docs/performance.

Without --full: two peers, the main scenarios, at most 3 minutes. What is not installed is left out with a note.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.effort import CONTENDERS, FIGURES, FULL, QUICK, QUICK_CONTENDERS, Effort
from holdfast.console import Console
from storage.errors import InvalidRequest

if TYPE_CHECKING:
    from bench.results import Results

HELP = "measure this service beside its peers"
FOLDER = Path(".bench")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--full", action="store_true", help="every contender, scenario and figure (some 30 minutes)")
    parser.add_argument("--contenders", help=f"some of {','.join(CONTENDERS)}")
    parser.add_argument("--scenarios", help="only those whose name contains one of these pieces, separated by |")
    parser.add_argument("--figures", help=f"some of {','.join(FIGURES)}, or none")
    parser.add_argument("--rounds", type=int, help=f"rounds (default {QUICK.rounds}, full {FULL.rounds})")
    parser.add_argument("--seconds", type=float, help="seconds per measurement")
    parser.add_argument("--generators", type=int, default=1, help="generator processes (default 1)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="databases and peers' programs (default .bench)")
    parser.add_argument("--json", type=Path, help="where the results go (default FOLDER/results.json)")
    parser.add_argument("--report", type=Path, help="write a report with pictures and results into this folder")
    parser.add_argument("--from", type=Path, dest="source", metavar="RESULTS", help="measure nothing, report on these")


def run(console: Console, arguments: argparse.Namespace) -> int:
    from bench.report.folder import write_folder
    from bench.report.markdown import summary

    results = _read(arguments.source) if arguments.source is not None else _measure(console, arguments)
    if arguments.report is not None:
        write_folder(results, arguments.report)
        console.note(f"report in {arguments.report}")
    console.print(summary(results))
    return 0


def _read(path: Path) -> Results:
    from bench.results import Results

    try:
        return Results.from_json(json.loads(path.read_text("utf-8")))
    except ValueError as error:
        raise InvalidRequest(f"{path}: {error}") from error


def _measure(console: Console, arguments: argparse.Namespace) -> Results:
    from bench.run import BenchPlan, run_bench

    plan = BenchPlan(
        folder=arguments.folder.resolve(),
        command="holdfast " + shlex.join(sys.argv[1:]),
        environ=console.environ,
        contenders=_some(arguments.contenders, CONTENDERS, CONTENDERS if arguments.full else QUICK_CONTENDERS),
        scenarios=tuple(piece for piece in (arguments.scenarios or "").split("|") if piece),
        figures=_some(arguments.figures, FIGURES, FIGURES if arguments.full else ()),
        effort=_effort(arguments),
        full=arguments.full,
    )
    results = run_bench(plan, note=console.note)
    path = arguments.json or arguments.folder / "results.json"
    results.write(path)
    console.note(f"results in {path}")
    return results


def _effort(arguments: argparse.Namespace) -> Effort:
    base = FULL if arguments.full else QUICK
    return Effort(
        rounds=arguments.rounds or base.rounds,
        duration_s=arguments.seconds or base.duration_s,
        warmup_s=base.warmup_s,
        generators=arguments.generators,
    )


def _some(text: str | None, known: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    if text is None:
        return default
    names = () if text == "none" else tuple(text.split(","))
    for name in names:
        if name not in known:
            raise InvalidRequest(f"{name!r}: expected some of {', '.join(known)}, separated by commas")
    return names
