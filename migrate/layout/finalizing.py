"""The end of a move: the old place is deleted, when nothing in it could be lost. There is no way back afterwards.

What lies there must be what was copied, by key and ETag; anything that came or changed since stops it, before anything
is deleted. So does a copy that is no longer in the new place, unless the caller accepts that it was deleted there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from migrate.layout.copying import find
from migrate.layout.errors import LayoutConflict, WrongState
from migrate.layout.flat_unit import FlatUnit
from migrate.layout.listing import list_all
from migrate.layout.plan import MovePlan, drift
from migrate.layout.record_store import Parts, RecordStore
from migrate.layout.report import Outcome, UnitReport
from storage.errors import HoldfastError, StorageError
from storage.layout.address import ENVIRONMENTS
from storage.layout.move_record import MoveRecord, MoveState, Tally, inventory_key
from storage.objects.port import ObjectInfo

DELETES_AT_ONCE = 8
UNDER_WAY = frozenset({MoveState.COPYING, MoveState.PUBLISHING, MoveState.ROLLING_BACK})


class Finalizer:
    """`accept_missing`: copies that are gone from the new place were deleted there on purpose."""

    def __init__(self, parts: Parts, *, accept_missing: bool = False) -> None:
        self._parts = parts
        self._records = RecordStore(parts)
        self._accept_missing = accept_missing

    async def finalize(self, unit: FlatUnit, *, execute: bool) -> UnitReport:
        """Delete the unit's old place, or say what that would delete. Failures are in the report."""
        report = UnitReport(unit.name)
        try:
            await self._finalize(unit, report, execute=execute)
        except (LayoutConflict, WrongState) as error:
            report.fail(error.message, outcome=Outcome.CONFLICT)
        except HoldfastError as error:
            report.fail(error.message)
        return report

    async def _finalize(self, unit: FlatUnit, report: UnitReport, *, execute: bool) -> None:
        record = await self._records.read(unit.name)
        if record is None or record.state is MoveState.FINALIZED:
            report.outcome = Outcome.NOTHING
            return
        if record.state not in (MoveState.SWITCHED, MoveState.FINALIZING):
            raise WrongState(f"{unit.name}: is {record.state.value}, expected it to be switched")
        report.before, report.after = record.before, record.after
        sources, plan = await self._checked(unit, record, report)
        report.notes.append(f"{len(sources)} objects in the old place to delete")
        if not execute:
            return
        if record.state is MoveState.SWITCHED:
            await self._records.advance(unit.name, MoveState.SWITCHED, MoveState.FINALIZING)
        await self._delete(unit, sources, plan, report)
        if not report.failed:
            await self._records.advance(unit.name, MoveState.FINALIZING, MoveState.FINALIZED)
            await self._parts.store.delete(inventory_key(unit.env, unit.name))
            report.outcome = Outcome.DONE

    async def _checked(
        self, unit: FlatUnit, record: MoveRecord, report: UnitReport
    ) -> tuple[list[ObjectInfo], MovePlan]:
        """What lies in the old place, all of it known to have been copied. Raises LayoutConflict."""
        for env in ENVIRONMENTS:
            other = None if env == unit.env else await self._records.read(unit.name, env=env)
            if other is not None and other.state in UNDER_WAY:
                raise LayoutConflict(f"{unit.name}: environment {env} is {other.state.value} from the same old place")
        sources = await unit.sources(self._parts.store)
        moved = drift(sources, await self._records.inventory(unit.name))
        if moved.changed:
            raise LayoutConflict(f"{moved.changed[0].key} was written after it was copied: a foreign writer")
        if moved.added:
            raise LayoutConflict(f"{moved.added[0].key} is not copied yet: run migrate again")
        plan = unit.plan(sources, record.profile)
        missing = await self._missing(unit, plan)
        if missing and not self._accept_missing:
            raise LayoutConflict(f"{missing[0]} is not in the new place ({len(missing)} such objects)")
        if missing:
            report.notes.append(f"{len(missing)} copies were deleted in the new place since")
        return sources, plan

    async def _missing(self, unit: FlatUnit, plan: MovePlan) -> list[str]:
        here = set[str]()
        for folder in unit.folders(plan):
            here |= {info.key for info in await list_all(self._parts.store, folder)}
        missing = [move.target for move in plan.files if move.target not in here]
        for move in plan.databases:
            if await find(self._parts.store, move.target) is None:
                missing.append(move.target)
        return missing

    async def _delete(self, unit: FlatUnit, sources: Sequence[ObjectInfo], plan: MovePlan, report: UnitReport) -> None:
        """The databases last, each looked at right before."""
        databases = {move.source.key: move.source for move in plan.databases}
        files = [info for info in sources if info.key not in databases]
        for start in range(0, len(files), DELETES_AT_ONCE):
            batch = files[start : start + DELETES_AT_ONCE]
            ends = await asyncio.gather(*(self._parts.store.delete(info.key) for info in batch), return_exceptions=True)
            for info, end in zip(batch, ends, strict=True):
                _count(report, info, end)
        if report.failed:
            return
        for info in databases.values():
            now = await find(self._parts.store, info.key)
            if now is not None and now.etag != info.etag:
                raise LayoutConflict(f"{info.key} was written after it was copied: a foreign writer")
            await self._parts.store.delete(info.key)
            _count(report, info, None)


def _count(report: UnitReport, info: ObjectInfo, end: BaseException | None) -> None:
    if end is None:
        report.deleted += Tally(1, info.size)
    elif isinstance(end, StorageError):
        report.fail(f"{info.key}: {end.message}")
    else:
        raise end
