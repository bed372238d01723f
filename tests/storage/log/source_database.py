"""Logs of real SQLite databases, for tests: every commit becomes a segment, by comparing the file before and after.

The database is a plain file in rollback mode, and what a segment is to contain is read off its bytes, so nothing here
shares code with the part of the project that captures pages.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import apsw

from storage.log.litestream import file_layout_path
from storage.log.page import Page, fill_growth
from storage.log.segment import Segment, encode_segment
from storage.log.slot import SegmentName, slot_name, snapshot_name
from storage.log.snapshot import snapshot_segment

START_MS = 1_700_000_000_000
STEP_MS = 1_000


class SourceDatabase:
    """A SQLite file, and the segments of its commits so far. `holes`: pages that commits added without writing them."""

    def __init__(self, path: Path, *, page_size: int = 4096) -> None:
        self.path = path
        self.page_size = page_size
        self.segments: list[Segment] = []
        self.snapshots: list[Segment] = []
        self.holes = 0
        self._pages: list[bytes] = []
        self._collected_below = 0
        self.connection = apsw.Connection(str(path))
        for pragma in (f"page_size={page_size}", "journal_mode=MEMORY", "synchronous=OFF", "cache_size=-20000"):
            self.connection.execute(f"PRAGMA {pragma}").fetchall()

    def __enter__(self) -> SourceDatabase:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.connection.close()

    @property
    def last_slot(self) -> int:
        return len(self.segments)

    def commit(self, *statements: str) -> Segment:
        """Run `statements` in one transaction and take what it changed as the next slot."""
        self.connection.execute("BEGIN")
        for statement in statements:
            self.connection.execute(statement).fetchall()
        self.connection.execute("COMMIT")
        return self.take_slot()

    def vacuum(self) -> Segment:
        self.connection.execute("VACUUM")
        return self.take_slot()

    def fence(self, *, node_id: int = 9) -> Segment:
        """A slot without pages, as a claim writes it."""
        return self._append((), len(self._pages), node_id)

    def snapshot(self) -> Segment:
        """A snapshot of the newest slot, whose own object stays where it is."""
        slot = self.last_slot
        segment = snapshot_segment(
            self._pages, page_size=self.page_size, last_slot=slot, node_id=1, timestamp_ms=START_MS + slot * STEP_MS + 1
        )
        self.snapshots.append(segment)
        return segment

    def collect(self, below: int) -> None:
        """Leave the slots below `below` out of the objects, as rule 11 would."""
        self._collected_below = below

    def take_slot(self) -> Segment:
        """Whatever differs in the file now, as the next slot."""
        image, old = self.image(), self._pages
        pages = [image[start : start + self.page_size] for start in range(0, len(image), self.page_size)]
        zeros = bytes(self.page_size)
        changed: list[Page] = [
            (number, page)
            for number, page in enumerate(pages, start=1)
            if page != (old[number - 1] if number <= len(old) else zeros)
        ]
        filled = fill_growth(len(old), len(pages), changed, self.page_size)
        self.holes += len(filled) - len(changed)
        self._pages = pages
        return self._append(filled, len(pages), node_id=1)

    def image(self) -> bytes:
        """The database file as it is."""
        return self.path.read_bytes()

    def objects(self) -> dict[SegmentName, bytes]:
        """Every object of the log."""
        kept = self.segments[max(0, self._collected_below - 1) :]
        slots = {slot_name(segment.last): encode_segment(segment) for segment in kept}
        return slots | {snapshot_name(segment.last): encode_segment(segment) for segment in self.snapshots}

    def write_file_layout(self, directory: Path) -> str:
        """Lay the log out for Litestream's file client; its URL."""
        for name, body in self.objects().items():
            path = directory / file_layout_path(name.level, name.first, name.last)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        return f"file://{directory}"

    def _append(self, pages: tuple[Page, ...], page_count: int, node_id: int) -> Segment:
        slot = self.last_slot + 1
        segment = Segment(slot, slot, self.page_size, page_count, pages, node_id, START_MS + slot * STEP_MS)
        self.segments.append(segment)
        return segment
