"""A log checked from end to end: nothing missing, nothing damaged, every snapshot what its slots add up to.

Reads every object below the log's prefix once. Complains about everything it finds instead of stopping at the first
thing, and rebuilds the newest database to let SQLite check it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from storage.errors import HoldfastError
from storage.log.actor_log import ActorLog, Entry, SlotRef, SnapshotRef
from storage.log.rebuild import Image, rebuild
from storage.log.record import LogState
from storage.log.segment import Segment
from storage.log.slot import Gap, check_contiguous


@dataclass(slots=True)
class Report:
    """What was read and what is wrong with it."""

    slots: int = 0
    snapshots: int = 0
    bytes: int = 0
    state: LogState = field(default_factory=LogState)
    complaints: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.complaints


async def verify_log(log: ActorLog, *, advance: Callable[[int], None]) -> Report:
    """Check the whole log. `advance` is told the bytes read. Raises only what listing raises."""
    snapshots, _ = await log.list_snapshots()
    slots, _ = await log.list_slots(0)
    report = Report(slots=len(slots), snapshots=len(snapshots))
    if slots or snapshots:
        await _Walk(log, report, advance).run(snapshots, slots)
    else:
        report.complaints.append(f"log of {log.address}: there is none")
    return report


class _Walk:
    """One pass over a log, stretch by stretch: the slots up to a snapshot, then that snapshot."""

    def __init__(self, log: ActorLog, report: Report, advance: Callable[[int], None]) -> None:
        self._log = log
        self._report = report
        self._advance = advance
        self._base: Segment | None = None

    async def run(self, snapshots: Sequence[SnapshotRef], slots: Sequence[SlotRef]) -> None:
        if slots and isinstance(run := check_contiguous([ref.slot for ref in slots], slots[0].slot - 1), Gap):
            self._complain(f"log of {self._log.address}: {run}")
        if slots and slots[0].slot != 1 and not snapshots:
            self._complain(f"log of {self._log.address}: begins with slot {slots[0].slot} and has no snapshot")
        done = 0
        for snapshot in snapshots:
            stretch = [ref for ref in slots if done < ref.slot <= snapshot.slot]
            await self._compare(snapshot, await self._rebuild(stretch))
            done = snapshot.slot
        image = await self._rebuild([ref for ref in slots if ref.slot > done])
        self._check_database(image)

    async def _rebuild(self, stretch: Sequence[SlotRef]) -> Image | None:
        """The image at the stretch's end; None where its slots alone do not tell (damaged, or no base below them)."""
        entries = [entry for ref in stretch if (entry := await self._read(ref)) is not None]
        if len(entries) < len(stretch) or (self._base is None and (not stretch or stretch[0].slot != 1)):
            return None
        try:
            image = rebuild(self._base, (entry.segment for entry in entries))
        except HoldfastError as error:
            self._complain(f"log of {self._log.address}: {error.message}")
            return None
        self._report.state = self._report.state.advance_all(entry.record for entry in entries)
        return image

    async def _compare(self, ref: SnapshotRef, image: Image | None) -> None:
        """Rule 9: a snapshot is what the slots up to it add up to. It is the base of what follows."""
        self._count(ref.size)
        try:
            self._base, state = await self._log.read_snapshot(ref)
        except HoldfastError as error:
            self._base = None
            self._complain(error.message)
            return
        if image is not None and (image.slot, image.pages) != (ref.slot, rebuild(self._base, ()).pages):
            self._complain(f"snapshot {ref.key}: differs from what the slots up to it add up to")
        if image is not None and state != self._report.state:
            self._complain(f"snapshot {ref.key}: states another history than the slots up to it")
        self._report.state = state

    async def _read(self, ref: SlotRef) -> Entry | None:
        self._count(ref.size)
        try:
            return await self._log.read(ref.slot)
        except HoldfastError as error:
            self._complain(error.message)
            return None

    def _check_database(self, image: Image | None) -> None:
        if image is None or not image.pages:
            return
        with closing(sqlite3.connect(":memory:")) as connection:
            try:
                connection.deserialize(image.to_bytes())
                findings = [str(finding) for (finding,) in connection.execute("PRAGMA integrity_check")]
            except sqlite3.DatabaseError as error:
                findings = [str(error)]
        for finding in findings:
            if finding != "ok":
                self._complain(f"log of {self._log.address}: SQLite says of the newest state: {finding}")

    def _count(self, size: int) -> None:
        self._report.bytes += size
        self._advance(size)

    def _complain(self, text: str) -> None:
        self._report.complaints.append(text)
