"""The truth about the logs in the bucket: every slot that ever landed, judged by nobody under test.

Watches the bucket. Folds the slots of each address by its own few lines, compares every snapshot with the slots below
it, notes slots that were overwritten. A write that lands in a slot whose object was collected is a ghost: legal, as
long as nobody believes it; it stays out of the history.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from actors.durability.journal_record import decode_records
from storage.log.record import Kind, Record, record_from_metadata
from storage.log.segment import decode_segment
from storage.objects.port import StoredObject
from tests.simulation.bucket import Bucket
from tests.simulation.history import History, Landed

_SLOT = re.compile(r"[a-z]+/users/([^/]+)/profiles/([^/]+)/log/0000/([0-9a-f]{16})-\3\.ltx\Z")
_SNAPSHOT = re.compile(r"[a-z]+/users/([^/]+)/profiles/([^/]+)/log/0009/0{15}1-([0-9a-f]{16})\.ltx\Z")
_ORPHAN = re.compile(r"[a-z]+/users/([^/]+)/profiles/([^/]+)/log/orphans/([0-9a-f]+)")

Pages = dict[int, bytes]


@dataclass(slots=True)
class LogBook:
    """One address's log. `bodies[n - 1]` is slot n as it first landed; `folded` are its images as far as computed."""

    bodies: list[bytes] = field(default_factory=list)
    folded: list[Pages] = field(default_factory=list)
    last_commit: int = 0
    bases: list[tuple[int, int]] = field(default_factory=list)
    ghosts: int = 0
    snapshots: int = 0
    orphans: dict[str, frozenset[int]] = field(default_factory=dict)

    def reached(self, epoch: int) -> int:
        """Last commit of what an owner of this epoch wrote or continued: a later epoch's begin at that one's base."""
        return next((base for later, base in self.bases if later > epoch), self.last_commit)

    def image(self, slot: int) -> Pages:
        """The pages at the end of a slot."""
        while len(self.folded) < slot:
            before = self.folded[-1] if self.folded else {}
            self.folded.append(fold(before, self.bodies[len(self.folded)]))
        return self.folded[slot - 1]


def fold(before: Pages, body: bytes) -> Pages:
    """The image after one more slot. A slot without pages changes nothing."""
    segment = decode_segment(body)
    if not segment.pages and before:
        return before
    after = {number: page for number, page in before.items() if number <= segment.page_count}
    after.update(segment.pages)
    return after


class Ledger:
    """See the module."""

    def __init__(
        self, bucket: Bucket, history: History, addresses: tuple[str, ...], note: Callable[[str], None]
    ) -> None:
        self.books = {address: LogBook() for address in addresses}
        self._history = history
        self._bucket = bucket
        self._note = note
        bucket.watchers.append(self._watch)

    def rebuild(self, address: str) -> Pages:
        """The image from what lies in the bucket now: newest snapshot and the slots behind it."""
        prefix = next((key for key in self._bucket.keys("") if "/log/" in key and _address_of(key) == address), None)
        if prefix is None:
            return {}
        root = prefix[: prefix.index("/log/") + len("/log/")]
        image: Pages = {}
        base = 0
        snapshots = self._bucket.keys(root + "0009/")
        if snapshots:
            base = int(snapshots[-1].rpartition("-")[2].removesuffix(".ltx"), 16)
            image = dict(decode_segment(self._bucket.get(snapshots[-1]).body).pages)
        for key in self._bucket.keys(root + "0000/"):
            slot = int(key.rpartition("-")[2].removesuffix(".ltx"), 16)
            if slot > base:
                if slot != base + 1:
                    self._history.faults.append(f"GAP: slot {base + 1} of {address} is missing")
                    break
                image = fold(image, self._bucket.get(key).body)
                base = slot
        return image

    def forget(self) -> None:
        """The logs were deleted: their slots begin again at 1."""
        for address in self.books:
            self.books[address] = LogBook()

    def _watch(self, stored: StoredObject, replaced: bool) -> None:
        key = stored.info.key
        for pattern, found_one in ((_SLOT, self._slot), (_SNAPSHOT, self._snapshot), (_ORPHAN, self._orphan)):
            found = pattern.match(key)
            if found is not None:
                if replaced and pattern is not _ORPHAN:
                    self._history.faults.append(f"OVERWRITTEN: {key}")
                found_one(f"{found[1]}/{found[2]}", found[3], stored)
                return

    def _slot(self, address: str, text: str, stored: StoredObject) -> None:
        book, slot = self.books[address], int(text, 16)
        if slot <= len(book.bodies):
            book.ghosts += 1
            self._note(f"{address} slot {slot}: a ghost")
            return
        if slot != len(book.bodies) + 1:
            self._history.faults.append(f"GAP: slot {slot} of {address} landed behind slot {len(book.bodies)}")
            return
        record: Record = record_from_metadata(stored.info.metadata)
        self._note(f"{address} slot {slot}: {record.kind} epoch {record.epoch} of {record.machine_id} {record.commits}")
        book.bodies.append(stored.body)
        if record.commits is not None:
            book.last_commit = max(book.last_commit, record.commits[1])
        if record.kind in (Kind.TAKE, Kind.OPEN):
            book.bases.append((record.epoch, book.last_commit))
        self._history.landed.append(Landed(self._now(), address, slot, record))

    def _snapshot(self, address: str, text: str, stored: StoredObject) -> None:
        book, slot = self.books[address], int(text, 16)
        book.snapshots += 1
        self._note(f"{address} snapshot {slot}")
        if slot > len(book.bodies):
            self._history.faults.append(f"SNAPSHOT: of slot {slot} of {address}, the log ends at {len(book.bodies)}")
        elif dict(decode_segment(stored.body).pages) != book.image(slot):
            self._history.faults.append(f"SNAPSHOT: of slot {slot} of {address} differs from slots 1 to {slot}")

    def _orphan(self, address: str, claim_id: str, stored: StoredObject) -> None:
        if stored.info.key.endswith(".journal"):
            self.books[address].orphans[claim_id] = frozenset(record.number for record in decode_records(stored.body))

    def _now(self) -> float:
        return self._bucket.true_time()


def _address_of(key: str) -> str:
    parts = key.split("/")
    return f"{parts[2]}/{parts[4]}"
