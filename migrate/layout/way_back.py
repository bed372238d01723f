"""From profiled back to flat, one unit at a time, with everything written since. Nothing is deleted.

First the new place is closed for writing: each profile's file is sealed by compare-and-swap, so that r2 mode answers
writes with 503 and none can land behind the copy. A file that is not open (an actor lives there, or is about to) stops
the way back before anything changes: that user returns to r2 mode first. Then files go back that are new or changed,
then the databases without system tables, on condition that the old place was not written meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.database.export import without_system_tables
from actors.database.image import PageImage
from migrate.layout.copying import compared, copy_all, find
from migrate.layout.errors import LayoutConflict, StillChanging, WrongState
from migrate.layout.flat_unit import FlatUnit
from migrate.layout.listing import list_all
from migrate.layout.plan import Inventory, Move
from migrate.layout.record_store import Parts, RecordStore
from migrate.layout.report import Outcome, UnitReport
from storage.errors import CorruptObject, HoldfastError
from storage.layout.keys import profiles_key, selected_profile_key
from storage.layout.move_record import MoveRecord, MoveState, Tally
from storage.layout.profiled import EnvironmentFile, ProfileFile, parse_profiled
from storage.layout.relocation import DATABASE, PROFILES, SELECTION, old_key
from storage.objects.checksum import md5_hex
from storage.objects.port import StoredObject
from storage.objects.settle import Settled
from storage.r2_sqlite.file_state import FileState, Mode, read_state, state_metadata, with_state

SEAL_ATTEMPTS_MAX = 10
STARTS = (MoveState.SWITCHED, MoveState.ROLLING_BACK)


@dataclass(frozen=True, slots=True)
class BackPlan:
    """What goes back: `files` that may have to be copied, `databases` by their keys in the new place."""

    files: tuple[Move, ...]
    databases: tuple[Move, ...]


class WayBack:
    """Rolls units back."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._records = RecordStore(parts)

    async def roll_back(self, unit: FlatUnit, *, execute: bool) -> UnitReport:
        """Bring the unit back to the old place, or say what that would do. Failures are in the report."""
        report = UnitReport(unit.name)
        try:
            await self._roll_back(unit, report, execute=execute)
        except (LayoutConflict, WrongState) as error:
            report.fail(error.message, outcome=Outcome.CONFLICT)
        except HoldfastError as error:
            report.fail(error.message)
        return report

    async def _roll_back(self, unit: FlatUnit, report: UnitReport, *, execute: bool) -> None:
        record = await self._records.read(unit.name)
        if record is None or record.state is MoveState.ROLLED_BACK:
            report.outcome = Outcome.NOTHING
            return
        if record.state not in STARTS:
            raise WrongState(f"{unit.name}: is {record.state.value}, expected it to be switched and not finalized")
        plan = await self._plan(unit, record)
        seals = {move.source.key: await self._seal_generation(move, record) for move in plan.databases}
        if not execute:
            report.notes.append(
                f"{len(plan.files)} files to compare, {len(plan.databases)} databases to seal and carry"
            )
            return
        sealed = {key: gen for key, gen in seals.items() if gen is not None}
        record = await self._records.change(unit.name, lambda current: _going_back(current, sealed))
        for key in sealed:
            await self._seal(unit, key)
        await self._carry(unit, record, report)

    async def _carry(self, unit: FlatUnit, record: MoveRecord, report: UnitReport) -> None:
        """With the new place closed: files, then databases, then documents, then the record."""
        plan = await self._plan(unit, record)
        inventory = await self._records.inventory(unit.name)
        known = Inventory({m.source.key: inventory.etags.get(m.target, ()) for m in plan.files})
        found = await compared(self._parts.store, plan.files, [unit.old_prefix], known)
        await copy_all(self._parts.store, [*found.missing, *found.stale], report)
        if report.failed:
            return
        await compared(self._parts.store, plan.files, [unit.old_prefix], known)
        for move in plan.databases:
            await self._carry_database(move, inventory, report)
        if unit.user is not None:
            await self._carry_documents(unit, unit.user, inventory)
        sources = await unit.sources(self._parts.store)
        await self._records.keep_inventory(unit.name, inventory.seen(sources))
        report.before = Tally(
            len(plan.files) + len(plan.databases), sum(m.source.size for m in (*plan.files, *plan.databases))
        )
        report.after = report.before
        await self._records.advance(unit.name, MoveState.ROLLING_BACK, MoveState.ROLLED_BACK)
        report.outcome = Outcome.DONE

    async def _plan(self, unit: FlatUnit, record: MoveRecord) -> BackPlan:
        files, databases = list[Move](), list[Move]()
        for info in await list_all(self._parts.store, unit.new_prefix, wanted=_is_no_log):
            new = parse_profiled(info.key)
            assert isinstance(new, ProfileFile | EnvironmentFile), info.key
            target = old_key(new, default_profile=record.profile)
            if target is None:
                raise LayoutConflict(f"{info.key} has no place in the flat layout")
            is_database = isinstance(new, ProfileFile) and new.path == DATABASE
            (databases if is_database else files).append(Move(info, target))
        return BackPlan(tuple(files), tuple(databases))

    async def _seal_generation(self, move: Move, record: MoveRecord) -> int | None:
        """The generation that seals the file; None for one that nobody can write and that is in the old place as it is.

        Raises LayoutConflict for a file that is not ours to close.
        """
        stored = await self._parts.store.get(move.source.key)
        try:
            state = read_state(stored.body)
        except CorruptObject:
            old = await find(self._parts.store, move.target)
            if old is not None and old.etag == stored.info.etag:
                return None
            raise
        if state.state is Mode.OPEN:
            return state.gen + 1
        if state.state is Mode.SEALING and record.sealed.get(move.source.key) == state.gen:
            return state.gen
        raise LayoutConflict(
            f"{move.source.key}: is in state {state.state.value}; bring the user back to r2 mode first"
        )

    async def _seal(self, unit: FlatUnit, key: str) -> None:
        """Rule 15: open g becomes sealing g+1 with the same data and ring. r2 mode's saves may win a few times."""
        for _ in range(SEAL_ATTEMPTS_MAX):
            stored = await self._parts.store.get(key)
            state = read_state(stored.body)
            record = await self._records.read(unit.name)
            if record is None or record.state is not MoveState.ROLLING_BACK:
                raise WrongState(f"{unit.name}: another run has gone on meanwhile")
            if state.state is not Mode.OPEN:
                if (state.state, state.gen) == (Mode.SEALING, record.sealed.get(key)):
                    return
                raise LayoutConflict(f"{key}: is in state {state.state.value}, not sealed by this move")
            closed = FileState(Mode.SEALING, state.gen + 1, self._parts.random_bytes(16).hex(), state.ring)
            await self._records.change(unit.name, lambda r, gen=closed.gen: _going_back(r, {key: gen}))  # type: ignore[misc]
            end = await self._parts.put(
                key, with_state(stored.body, closed), if_match=stored.info.etag, metadata=state_metadata(closed)
            )
            if isinstance(end, Settled):
                return
        raise StillChanging(f"{key}: written {SEAL_ATTEMPTS_MAX} times while it was to be sealed")

    async def _carry_database(self, move: Move, inventory: Inventory, report: UnitReport) -> None:
        """Without system tables; over nothing, or over what was copied from there."""
        stored = await self._parts.store.get(move.source.key)
        old = await find(self._parts.store, move.target)
        body = _plain(stored)
        if old is not None and old.etag == md5_hex(body):
            return
        if old is not None and not inventory.knows(move.target, old.etag):
            raise LayoutConflict(f"{move.target} was written in the old place after it was copied: by whom?")
        if old is None:
            end = await self._parts.put(move.target, body, if_none_match="*")
        else:
            end = await self._parts.put(move.target, body, if_match=old.etag)
        if not isinstance(end, Settled):
            raise LayoutConflict(f"{move.target} was written in the old place meanwhile: by whom?")
        report.copied += Tally(1, len(body))

    async def _carry_documents(self, unit: FlatUnit, user: str, inventory: Inventory) -> None:
        """Only to an old place that had them: the flat layout proper knows no profiles."""
        pairs = ((profiles_key(unit.env, user), PROFILES), (selected_profile_key(unit.env, user), SELECTION))
        for new, name in pairs:
            old = await find(self._parts.store, f"{user}/{name}")
            current = await find(self._parts.store, new)
            if old is None or current is None or old.etag == current.etag:
                continue
            if not inventory.knows(old.key, old.etag):
                raise LayoutConflict(f"{old.key} was written in the old place after it was copied: by whom?")
            body = (await self._parts.store.get(new)).body
            await self._parts.put(old.key, body, if_match=old.etag)


def _going_back(record: MoveRecord | None, sealed: dict[str, int]) -> MoveRecord:
    if record is None or record.state not in STARTS:
        found = "nothing" if record is None else record.state.value
        raise WrongState(f"layout record: found {found}, another run has gone on meanwhile")
    return record.moved_to(MoveState.ROLLING_BACK, sealed={**record.sealed, **sealed})


def _plain(stored: StoredObject) -> bytes:
    """The file as people may have it; one that cannot be read, as it is."""
    try:
        read_state(stored.body)
    except CorruptObject:
        return stored.body
    return without_system_tables(PageImage.from_bytes(stored.body)).to_bytes()


def _is_no_log(key: str) -> bool:
    """An actor's log stays where it is."""
    new = parse_profiled(key)
    return not (isinstance(new, ProfileFile) and new.path.startswith("log/"))
