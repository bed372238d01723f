"""A step over many units, one after the other, with a bound on failures: what the command line drives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from migrate.layout.flat_unit import FlatUnit, units_in_old_place, units_with_records
from migrate.layout.report import Outcome, UnitReport
from storage.objects.port import ObjectStore

Step = Callable[[FlatUnit], Awaitable[UnitReport]]


async def chosen_units(
    store: ObjectStore, env: str, *, known: bool, users: Iterable[str] | None = None, games: bool = True
) -> AsyncIterator[FlatUnit]:
    """The units a run is about: those in the old place, or (`known`) those with records; or the users named."""
    if users is not None:
        for user in users:
            yield FlatUnit(env, user)
        return
    if known:
        for unit in await units_with_records(store, env):
            if games or unit.user is not None:
                yield unit
        return
    async for unit in units_in_old_place(store, env):
        if games or unit.user is not None:
            yield unit


async def run_units(
    units: AsyncIterator[FlatUnit], step: Step, *, failures_max: int | None = None
) -> AsyncIterator[UnitReport]:
    """The report of each unit as it ends; the run stops behind failure number `failures_max`."""
    failures = 0
    async for unit in units:
        report = await step(unit)
        yield report
        failures += report.outcome in (Outcome.FAILED, Outcome.CONFLICT)
        if failures_max is not None and failures >= failures_max:
            return
