"""Media into the project layout, driven by the records that name them.

    migrate     copy inside the store, verify size and ETag, note the move, switch the record
    finalize    delete old objects that no record names any more
    roll_back   switch the records back; copies stay until they are cleaned away

Copies and notes are made in batches, and a batch's records are switched at once. Killed anywhere, a run is run again:
a copy that is there is not made twice, a record that has its new key is done. An old object that several records name
is deleted when none of them does; moves that another source's records began and did not finish keep it, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from migrate.layout.copying import copy_verified, find
from migrate.layout.errors import LayoutConflict
from migrate.layout.listing import list_all
from migrate.layout.media_record import Fields, Switch, is_moved, media_keys, new_place
from migrate.layout.plan import Inventory, Move, judge
from migrate.layout.record_source import RecordSource
from migrate.layout.record_store import JSON, Parts
from migrate.layout.report import Outcome, UnitReport
from storage.errors import HoldfastError, InvalidRequest, ObjectNotFound
from storage.layout.media_move import (
    MediaMove,
    all_media_moves_prefix,
    decode_media_move,
    encode_media_move,
    media_move_key,
)
from storage.layout.move_record import Tally

BATCH = 100
UNIT = "media"


class ProjectMove:
    """Media of one record source."""

    def __init__(self, parts: Parts, records: RecordSource) -> None:
        self._parts = parts
        self._store = parts.store
        self._records = records

    async def migrate(self, *, execute: bool) -> UnitReport:
        """Move every medium that a record names by an old key, or say what that would do. Failures are counted."""
        report = UnitReport(UNIT)
        jobs = list(_jobs(await self._records.read(), report))
        if not execute:
            report.notes.append(f"{len(jobs)} media to move")
            for job in jobs:
                await self._foresee(job, report)
            return report
        for start in range(0, len(jobs), BATCH):
            ready = [job for job in jobs[start : start + BATCH] if await self._copied(job, report)]
            await self._records.switch(ready)
        await self._note_switched(await self._keys_in_use())
        report.outcome = _outcome(report, did=bool(jobs))
        return report

    async def finalize(self, *, execute: bool) -> UnitReport:
        """Delete the old objects of switched records, or say what that would delete."""
        report = UnitReport(UNIT)
        in_use = await self._keys_in_use()
        moves = await self._note_switched(in_use, write=execute)
        waiting = {move.old for move in await self._moves(everybodys=True) if not move.switched}
        waiting -= {move.old for move in moves if move.switched}
        for move in moves:
            if move.old in in_use | waiting or not move.switched:
                report.fail(f"{move.old}: a record still names it, or its move to {move.new} was not finished")
            elif await self._may_delete(move, report) and execute:
                await self._store.delete(move.old)
                report.deleted += Tally(1, move.size)
        if execute:
            await self._forget_deleted(moves)
        report.notes.append(f"{report.before.objects} old objects{'' if execute else ' to delete'}")
        report.after = report.before
        if execute or report.failed:
            report.outcome = _outcome(report, did=bool(moves))
        return report

    async def roll_back(self, *, execute: bool) -> UnitReport:
        """Switch every moved record back to its old key, where the old object still is."""
        report = UnitReport(UNIT)
        old_keys = {move.new: move for move in await self._moves()}
        switches = []
        for index, record in enumerate(await self._records.read()):
            for medium in media_keys(record):
                move = old_keys.get(medium.key)
                if move is None:
                    continue
                if await find(self._store, move.old) is None:
                    report.fail(f"{move.old}: is deleted, the record keeps {move.new}")
                    continue
                switches.append(Switch(index, medium.place, move.new, move.old))
        report.notes.append(f"{len(switches)} records {'switched' if execute else 'to switch'} back")
        if execute:
            await self._records.switch(switches)
            in_use = await self._keys_in_use()
            for move in old_keys.values():
                if move.new not in in_use:
                    await self._store.delete(media_move_key(self._parts.env, move.old, move.new))
        if execute or report.failed:
            report.outcome = _outcome(report, did=bool(switches))
        return report

    async def _foresee(self, job: Switch, report: UnitReport) -> None:
        source = await find(self._store, job.old)
        if source is None:
            report.fail(f"{job.old}: not found")
            return
        report.before += Tally(1, source.size)
        target = await find(self._store, job.new)
        if target is not None and judge(Move(source, job.new), target, Inventory()) != "same":
            report.fail(f"{job.new}: another object is there", outcome=Outcome.CONFLICT)

    async def _copied(self, job: Switch, report: UnitReport) -> bool:
        """Whether the medium is in its new place, looked at, and the move is noted."""
        try:
            source = await self._store.head(job.old)
            report.before += Tally(1, source.size)
            await self._ensure_copy(Move(source, job.new), report)
            move = MediaMove(job.old, job.new, source.size, source.etag, self._records.name)
            await self._store.put(
                media_move_key(self._parts.env, job.old, job.new), encode_media_move(move), content_type=JSON
            )
        except LayoutConflict as error:
            report.fail(error.message, outcome=Outcome.CONFLICT)
            return False
        except HoldfastError as error:
            report.fail(f"{job.old}: {error.message}")
            return False
        report.after += Tally(1, source.size)
        return True

    async def _ensure_copy(self, move: Move, report: UnitReport) -> None:
        target = await find(self._store, move.target)
        if target is None:
            copied = await copy_verified(self._store, move)
            report.copied += Tally(1, copied.size)
        elif judge(move, target, Inventory()) != "same":
            raise LayoutConflict(f"{move.target}: another object is there, {move.source.key} cannot move")

    async def _note_switched(self, in_use: set[str], *, write: bool = True) -> list[MediaMove]:
        """All moves, as the records say: switched ones whose new key is named and whose old one is not."""
        found = []
        for move in await self._moves():
            if not move.switched and move.new in in_use and move.old not in in_use:
                move = msgspec.structs.replace(move, switched=True)
                if write:
                    key = media_move_key(self._parts.env, move.old, move.new)
                    await self._store.put(key, encode_media_move(move), content_type=JSON)
            found.append(move)
        return found

    async def _may_delete(self, move: MediaMove, report: UnitReport) -> bool:
        """Whether the old object is still what was copied, and the copy is there. An object already gone is fine."""
        old, new = await find(self._store, move.old), await find(self._store, move.new)
        if old is None:
            return False
        if old.etag != move.etag:
            report.fail(f"{move.old}: was written after it was copied", outcome=Outcome.CONFLICT)
        elif new is None or judge(Move(old, move.new), new, Inventory()) != "same":
            report.fail(f"{move.new}: is not the copy of {move.old} any more", outcome=Outcome.CONFLICT)
        else:
            report.before += Tally(1, old.size)
            return True
        return False

    async def _forget_deleted(self, moves: Sequence[MediaMove]) -> None:
        """Drop the notes of moves whose old object is gone: nothing is left to resolve."""
        for move in moves:
            if move.switched and await find(self._store, move.old) is None:
                await self._store.delete(media_move_key(self._parts.env, move.old, move.new))

    async def _moves(self, *, everybodys: bool = False) -> list[MediaMove]:
        """Noted moves of this source's records, or of all sources'."""
        found = []
        for info in await list_all(self._store, all_media_moves_prefix(self._parts.env)):
            try:
                found.append(decode_media_move((await self._store.get(info.key)).body, info.key))
            except ObjectNotFound:
                continue
        return found if everybodys else [move for move in found if move.records == self._records.name]

    async def _keys_in_use(self) -> set[str]:
        return {medium.key for record in await self._records.read() for medium in media_keys(record)}


def _jobs(records: Sequence[Fields], report: UnitReport) -> Iterator[Switch]:
    """What has to move. Keys that are there already, or lack a project, stay."""
    kept = 0
    for index, record in enumerate(records):
        for medium in media_keys(record):
            try:
                new = new_place(record, medium)
            except InvalidRequest as error:
                report.fail(f"record {index + 1}: {error.message}")
                continue
            if new != medium.key:
                yield Switch(index, medium.place, medium.key, new)
            elif not is_moved(new):
                kept += 1
    if kept:
        report.notes.append(f"{kept} keys keep the old format: their records name no project")


def _outcome(report: UnitReport, *, did: bool) -> Outcome:
    if report.failed:
        return report.outcome
    return Outcome.DONE if did else Outcome.NOTHING
