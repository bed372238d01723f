"""A whole run: which contenders, which scenarios, which figures; results written, report and pictures made.

`quick` is what a developer runs after a change, `full` what the documents are made from.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.effort import QUICK, QUICK_CONTENDERS, Effort
from bench.figures.activation import measure_activations, measure_memory
from bench.figures.cost import Hour, measure_costs
from bench.figures.flush import measure_flushes
from bench.load.ceiling import measure_ceiling
from bench.machine import describe_machine, first_line
from bench.peers.contender import Contender
from bench.peers.holdfast_service import HoldfastService
from bench.peers.postgres.server import FastApiPostgres
from bench.peers.python_server import PythonServer
from bench.peers.workerd.server import Workerd
from bench.results import Results
from bench.scenario import ALL, MIXED, ONE, Scenario
from bench.session import Session

NAIVE_DELAY_MS = 30
ACTIVATION_SIZES = (1, 10)
FLUSH_SIZES = (0.0, 1.0, 10.0)
FLUSH_INTERVALS_S = (1.0, 5.0, 15.0, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchPlan:
    """What to run. `folder` takes databases (removed afterwards) and the peers' programs; `contenders` are keys of
    `contenders`, `scenarios` pieces of scenarios' names (none: all of the plan's)."""

    folder: Path
    command: str
    environ: Mapping[str, str]
    contenders: Sequence[str] = QUICK_CONTENDERS
    scenarios: Sequence[str] = ()
    figures: Sequence[str] = ()
    effort: Effort = QUICK
    full: bool = False

    @property
    def data(self) -> Path:
        return self.folder / "run"

    def chosen(self, scenarios: Sequence[Scenario]) -> list[Scenario]:
        """Those whose names contain one of the pieces."""
        wanted = self.scenarios
        return [one for one in scenarios if not wanted or any(piece in one.name for piece in wanted)]


def contenders(plan: BenchPlan, part: str) -> dict[str, Contender]:
    """All there are, by the names that the command line knows, with empty databases for one part of the run."""
    data = plan.data / part
    data.mkdir(mode=0o711)
    return {
        "shared": HoldfastService(data / "shared", placement="shared", environ=plan.environ),
        "dedicated": HoldfastService(data / "dedicated", placement="dedicated", environ=plan.environ),
        "workerd": Workerd(data / "workerd", binary=_workerd(plan)),
        "files": PythonServer("FastAPI + SQLite files", "bench.peers.sqlite_files", data / "files"),
        "postgres": FastApiPostgres(data / "postgres"),
        "naive": PythonServer(
            f"naive r2 mode, {NAIVE_DELAY_MS} ms", "bench.peers.naive_r2", data / "naive", [str(NAIVE_DELAY_MS)]
        ),
    }


def run_bench(plan: BenchPlan, *, note: Callable[[str], None]) -> Results:
    """Everything the plan asks for. Raises what a contender of ours raises; peers that fail are left out."""
    shutil.rmtree(plan.data, ignore_errors=True)
    plan.data.mkdir(parents=True, mode=0o711)  # PostgreSQL's own user has to pass through
    results = Results(
        command=plan.command,
        made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=describe_machine(plan.data),
        effort=asdict(plan.effort),
        versions=_versions(plan),
    )
    try:
        asyncio.run(_measure(plan, results, note))
        if "cost" in plan.figures:
            note("cost: an hour under a clock that jumps")
            results.figures["cost"] = [one.to_json() for one in measure_costs(Hour(), FLUSH_INTERVALS_S)]
    finally:
        shutil.rmtree(plan.data, ignore_errors=True)
    return results


async def _measure(plan: BenchPlan, results: Results, note: Callable[[str], None]) -> None:
    if "generator" in plan.figures:
        results.figures["generator"] = [row.to_json() for row in await measure_ceiling()]
    known = contenders(plan, "a")
    chosen = [known[name] for name in plan.contenders if name != "dedicated"]
    scenarios = plan.chosen(ALL if plan.full else (*ONE, MIXED[0]))
    if chosen and scenarios:
        name = "Shared placement and peers" if "shared" in plan.contenders else "Peers"
        await _session(name, chosen, scenarios, plan, results, note)
    if "dedicated" in plan.contenders and (few := plan.chosen(ONE)):
        known = contenders(plan, "b")
        beside = [known["workerd"]] if "workerd" in plan.contenders else []
        await _session("Dedicated placement", [known["dedicated"], *beside], few, plan, results, note)
    await _figures(plan, contenders(plan, "c"), results, note)


async def _session(
    name: str,
    chosen: Sequence[Contender],
    scenarios: Sequence[Scenario],
    plan: BenchPlan,
    results: Results,
    note: Callable[[str], None],
) -> None:
    session = Session(chosen, scenarios, plan.effort, plan.data, note)
    try:
        await session.run()
    finally:
        results.sessions[name] = session.measurements
        results.left_out.update(session.left_out)


async def _figures(
    plan: BenchPlan, known: Mapping[str, Contender], results: Results, note: Callable[[str], None]
) -> None:
    pair = [known[name] for name in ("shared", "workerd") if name in plan.contenders and not known[name].missing()]
    for contender in pair if "activation" in plan.figures else []:
        note(f"activation: {contender.name}")
        found = await measure_activations(contender, ACTIVATION_SIZES, count=30 if plan.full else 10)
        results.figures.setdefault("activation", []).extend(one.to_json() for one in found)
    for contender in pair if "memory" in plan.figures else []:
        note(f"memory: {contender.name}")
        figure = await measure_memory(contender, count=1000 if plan.full else 200)
        results.figures.setdefault("memory", []).append(figure.to_json())
    ours = known["shared"]
    if "flush" in plan.figures and isinstance(ours, HoldfastService):
        note("flush: sizes of objects")
        results.figures["flush"] = [one.to_json() for one in await measure_flushes(ours, FLUSH_SIZES)]


def _workerd(plan: BenchPlan) -> Path:
    return (plan.folder / "workerd" / "node_modules" / ".bin" / "workerd").resolve()


def _versions(plan: BenchPlan) -> dict[str, str]:
    postgres = FastApiPostgres(plan.data / "postgres").version()
    return {"workerd": first_line([str(_workerd(plan)), "--version"]), "PostgreSQL": postgres}
