"""From flat to profiled, one unit at a time: copy, compare, publish, switch. Nothing is deleted here.

    copying      files are copied inside the store, databases put on condition, until a listing of the old place and one
                 of the new agree
    publishing   profiles.json makes the new place known; then the old databases are looked at once more
    switched     the record says so; old keys resolve to the new ones

Every step finds out what is there and does what is missing, so a run that was killed anywhere is simply run again, and
two runs at once do the same work twice. docs/layout-migration.md has the argument about writers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from migrate.layout.copying import compared, copy_all
from migrate.layout.documents import (
    PROFILE_ID_BYTES,
    OldDocuments,
    OldPlace,
    check_default,
    choose_default,
    early_profiles,
    publish,
    read_old,
    read_profiles,
    wanted_document,
)
from migrate.layout.errors import LayoutConflict, StillChanging, WrongState
from migrate.layout.flat_unit import FlatUnit
from migrate.layout.placement import place_database, placed_already
from migrate.layout.plan import MovePlan, drift, tally
from migrate.layout.record_store import Parts, RecordStore
from migrate.layout.report import Outcome, UnitReport
from storage.errors import HoldfastError
from storage.layout.move_record import MoveRecord, MoveState, Tally
from storage.layout.relocation import DATABASE
from storage.objects.port import ObjectInfo

PASSES_MAX = 5
ADOPTIONS_MAX = 3

ProfileHint = Callable[[str], Awaitable[str | None]]


class ForwardMove:
    """`hint` names a user's default profile where another store has the say (a bucket, for its local mirror)."""

    def __init__(self, parts: Parts, *, hint: ProfileHint | None = None) -> None:
        self._parts = parts
        self._records = RecordStore(parts)
        self._hint = hint

    async def plan(self, unit: FlatUnit) -> UnitReport:
        """What `migrate` would do. Writes nothing."""
        report = UnitReport(unit.name)
        try:
            await self._plan(unit, report)
        except LayoutConflict as error:
            report.fail(error.message, outcome=Outcome.CONFLICT)
        except HoldfastError as error:
            report.fail(error.message)
        return report

    async def migrate(self, unit: FlatUnit) -> UnitReport:
        """Move the unit, or go on moving it. Failures are in the report; only what is no error of the world raises."""
        report = UnitReport(unit.name)
        try:
            await self._migrate(unit, report)
        except LayoutConflict as error:
            report.fail(error.message, outcome=Outcome.CONFLICT)
        except HoldfastError as error:
            report.fail(error.message)
        return report

    async def _plan(self, unit: FlatUnit, report: UnitReport) -> None:
        record = await self._records.read(unit.name)
        sources = await unit.sources(self._parts.store)
        profile = record.profile if record else await self._choose_profile(unit, sources)
        plan = unit.plan(sources, profile)
        report.before = plan.tally
        _refuse_clashes(plan)
        inventory = await self._records.inventory(unit.name)
        if record is not None and record.state in (MoveState.SWITCHED, MoveState.FINALIZING, MoveState.FINALIZED):
            moved = drift(sources, inventory)
            report.notes.append(f"{record.state.value}; {len(moved.added)} new in the old place since")
            report.after = record.after
            report.outcome = Outcome.PLANNED if moved.added else Outcome.NOTHING
            return
        found = await compared(self._parts.store, plan.files, unit.folders(plan), inventory)
        todo = len(found.missing) + len(found.stale)
        report.notes.append(f"{todo} files to copy, {len(plan.databases)} databases, into profile {profile or '-'}")

    async def _migrate(self, unit: FlatUnit, report: UnitReport) -> None:
        record = await self._start(unit)
        if record is None:
            report.outcome = Outcome.NOTHING
            return
        if record.state is MoveState.SWITCHED:
            await self._catch_up(unit, record, report)
            return
        if record.state not in (MoveState.COPYING, MoveState.PUBLISHING):
            raise WrongState(f"{unit.name}: is {record.state.value}")
        for _ in range(ADOPTIONS_MAX):
            if record.state is MoveState.COPYING:
                plan = await self._copy(unit, record, report)
                if report.failed:
                    return
                record = await self._records.advance(
                    unit.name, MoveState.COPYING, MoveState.PUBLISHING, before=plan.tally, after=report.after
                )
            adopted = await self._publish(unit, record)
            if adopted is None:
                await self._switch(unit, record, report)
                return
            report.notes.append(f"copies in profile {record.profile} are left over: {adopted} was the default already")
            record = await self._records.advance(
                unit.name, MoveState.PUBLISHING, MoveState.COPYING, profile=adopted, placed=()
            )
        raise LayoutConflict(f"{unit.name}: its default profile changed {ADOPTIONS_MAX} times meanwhile")

    async def _start(self, unit: FlatUnit) -> MoveRecord | None:
        """The unit's record, made or taken up again; None when there is nothing to move."""
        record = await self._records.read(unit.name)
        if record is not None and record.state is not MoveState.ROLLED_BACK:
            return record
        sources = await unit.sources(self._parts.store)
        if not sources:
            return None
        if record is not None:
            return await self._records.advance(
                unit.name, MoveState.ROLLED_BACK, MoveState.COPYING, run=self._parts.run, placed=()
            )
        profile = await self._choose_profile(unit, sources)
        _refuse_clashes(unit.plan(sources, profile))
        wall = datetime.fromtimestamp(self._parts.clock.wall(), UTC)
        fresh = MoveRecord(
            state=MoveState.COPYING,
            profile=profile,
            run=self._parts.run,
            at=wall.isoformat(timespec="seconds"),
            by=self._parts.by,
        )
        return await self._records.change(unit.name, lambda current: current or fresh)

    async def _choose_profile(self, unit: FlatUnit, sources: list[ObjectInfo]) -> str:
        if unit.user is None:
            return ""
        old = await self._old_place(unit, sources)
        current = await read_profiles(self._parts.store, unit.env, unit.user)
        hint = await self._hint(unit.user) if self._hint else None
        chosen = choose_default(
            current=current, old=old, hint=hint, new=self._parts.random_bytes(PROFILE_ID_BYTES).hex()
        )
        check_default(chosen, old)
        return chosen

    async def _old_place(self, unit: FlatUnit, sources: list[ObjectInfo]) -> OldPlace:
        documents = await read_old(self._parts.store, unit.user) if unit.user else OldDocuments(None, None)
        has_database = any(info.key == unit.old_prefix + DATABASE for info in sources)
        return OldPlace(documents, early_profiles(sources), has_database)

    async def _copy(self, unit: FlatUnit, record: MoveRecord, report: UnitReport) -> MovePlan:
        """Until both places agree. The databases come last, after the files they speak of."""
        for _ in range(PASSES_MAX):
            sources = await unit.sources(self._parts.store)
            plan = unit.plan(sources, record.profile)
            _refuse_clashes(plan)
            inventory = await self._records.inventory(unit.name)
            found = await compared(self._parts.store, plan.files, unit.folders(plan), inventory)
            if inventory != inventory.seen(sources):
                await self._records.keep_inventory(unit.name, inventory.seen(sources))
            report.before = plan.tally
            todo = [*found.missing, *found.stale]
            if not todo and await self._databases_placed(unit, plan):
                report.after = tally(move.source for move in (*found.same, *plan.databases))
                return plan
            await copy_all(self._parts.store, todo, report)
            if report.failed:
                return plan
            await self._place_databases(unit, plan, report)
        raise StillChanging(
            f"{unit.name}: the old place changed during each of {PASSES_MAX} passes; is the old service on?"
        )

    async def _databases_placed(self, unit: FlatUnit, plan: MovePlan) -> bool:
        record = await self._records.read(unit.name)
        return record is not None and all(placed_already(record, move.source, None) for move in plan.databases)

    async def _place_databases(self, unit: FlatUnit, plan: MovePlan, report: UnitReport) -> None:
        for move in plan.databases:
            if await place_database(self._parts, self._records, unit.name, move):
                report.copied += Tally(1, move.source.size)

    async def _publish(self, unit: FlatUnit, record: MoveRecord) -> str | None:
        """Make the new place known; another default profile to adopt, or None when all is well."""
        if unit.user is None:
            return None
        sources = await unit.sources(self._parts.store)
        old = await self._old_place(unit, sources)
        wanted = wanted_document(record.profile, old)
        document = await publish(self._parts, unit.user, wanted, old.documents.selected)
        if document.default == record.profile:
            return None
        check_default(document.default, old)
        return document.default

    async def _switch(self, unit: FlatUnit, record: MoveRecord, report: UnitReport) -> None:
        """The last look at the old place, then the record."""
        moved = drift(await unit.sources(self._parts.store), await self._records.inventory(unit.name))
        if not moved.nothing_to_lose:
            first = (*moved.changed, *moved.added)[0].key
            await self._records.advance(unit.name, MoveState.PUBLISHING, MoveState.COPYING)
            raise StillChanging(f"{first} changed while the new place was published; is the old service still on?")
        record = await self._records.advance(unit.name, MoveState.PUBLISHING, MoveState.SWITCHED)
        report.before, report.after, report.outcome = record.before, record.after, Outcome.DONE

    async def _catch_up(self, unit: FlatUnit, record: MoveRecord, report: UnitReport) -> None:
        """Files that reached the old place after the switch, through an old upload link."""
        store = self._parts.store
        sources = await unit.sources(store)
        inventory = await self._records.inventory(unit.name)
        moved = drift(sources, inventory)
        report.before, report.after = record.before, record.after
        report.outcome = Outcome.DONE if moved.added else Outcome.NOTHING
        if moved.changed:
            raise LayoutConflict(f"{moved.changed[0].key} was written in the old place after the switch: by whom?")
        late = unit.plan(list(moved.added), record.profile)
        if late.databases:
            raise LayoutConflict(f"{late.databases[0].source.key} appeared in the old place after the switch: by whom?")
        if not late.files:
            return
        found = await compared(store, late.files, unit.folders(late), inventory)
        await copy_all(store, found.missing, report)
        if report.failed:
            return
        await compared(store, late.files, unit.folders(late), inventory)
        await self._records.keep_inventory(unit.name, inventory.seen(sources))
        both = {"before": record.before + late.tally, "after": record.after + late.tally}
        record = await self._records.change(unit.name, lambda _: record.moved_to(MoveState.SWITCHED, **both))
        report.before, report.after = record.before, record.after


def _refuse_clashes(plan: MovePlan) -> None:
    if plan.clashes:
        raise LayoutConflict(plan.clashes[0])
