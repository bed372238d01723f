"""One log for each thing that a reader of ours may get wrong, made by real SQLite. Each names what it holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.storage.log.source_database import SourceDatabase

LONG_TAIL_SLOTS = 400

CREATE = "CREATE TABLE clip (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB)"


def insert(count: int, size: int = 300) -> str:
    """Add `count` rows whose blobs do not compress."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    return f"{numbers} INSERT INTO clip (name, body) SELECT 'clip ' || i, randomblob({size}) FROM n"


def claims(path: Path) -> SourceDatabase:
    """Slots without pages: one behind slot 1, several in a row, one at the end."""
    log = SourceDatabase(path)
    log.commit(CREATE, insert(20))
    log.fence()
    log.commit(insert(5))
    for epoch in (3, 4, 5):
        log.fence(node_id=epoch)
    log.commit("UPDATE clip SET name = 'renamed' WHERE id % 2 = 0")
    log.fence(node_id=6)
    return log


def growth_holes(path: Path) -> SourceDatabase:
    """Commits that grow the file by pages they never write, one of them the very first."""
    log = SourceDatabase(path)
    log.commit(CREATE, insert(100, 3000), "DELETE FROM clip WHERE id > 10")
    log.commit("CREATE TABLE big (body BLOB)", "INSERT INTO big SELECT randomblob(200000)", "DELETE FROM big")
    log.commit(insert(50, 3000), "DELETE FROM clip WHERE id > 30")
    log.fence()
    assert log.holes > 50, f"SQLite left {log.holes} holes, expected many"
    return log


def shrinks(path: Path) -> SourceDatabase:
    """VACUUM after deletes, growth beyond the old size, a shrink at the very end."""
    log = SourceDatabase(path)
    log.commit(CREATE, insert(200, 2000))
    log.commit("DELETE FROM clip WHERE id > 20")
    log.vacuum()
    log.fence()
    log.commit(insert(300, 2000))
    log.commit("DELETE FROM clip WHERE id % 3 > 0")
    log.vacuum()
    sizes = [segment.page_count for segment in log.segments]
    assert sizes[2] < sizes[1] < sizes[4] > sizes[6], f"page counts {sizes} do not shrink and grow"
    return log


def snapshots(path: Path) -> SourceDatabase:
    """Two snapshots with a tail, and slots below the older one collected (its own slot stays)."""
    log = SourceDatabase(path)
    log.commit(CREATE, insert(50))
    log.commit(insert(50))
    log.commit("DELETE FROM clip WHERE id % 4 = 0")
    log.snapshot()
    log.collect(3)
    log.fence()
    log.commit(insert(10))
    log.snapshot()
    log.vacuum()
    log.commit(insert(1))
    return log


def snapshot_of_the_last_slot(path: Path) -> SourceDatabase:
    """A shrunk database whose newest slot has a snapshot, and nothing behind it."""
    log = SourceDatabase(path)
    log.commit(CREATE, insert(80, 2000))
    log.commit("DELETE FROM clip WHERE id > 3")
    log.vacuum()
    log.snapshot()
    log.collect(3)
    return log


def long_tail(path: Path) -> SourceDatabase:
    """Several hundred slots behind slot 1, updates, deletes and claims among them, no snapshot."""
    log = SourceDatabase(path)
    log.commit(CREATE, insert(30))
    for slot in range(2, LONG_TAIL_SLOTS + 1):
        if slot % 50 == 0:
            log.fence()
        elif slot % 7 == 0:
            log.commit(f"DELETE FROM clip WHERE id = {slot % 30}")
        elif slot % 3 == 0:
            log.commit(f"UPDATE clip SET body = randomblob({slot}) WHERE id = {slot % 40}")
        else:
            log.commit(insert(1))
    return log


def zeroed_pages(path: Path) -> SourceDatabase:
    """Pages that held rows and become zeros, while the size stays."""
    log = SourceDatabase(path)
    log.connection.execute("PRAGMA secure_delete = ON").fetchall()
    log.commit(CREATE, insert(120, 2500))
    deleted = log.commit("DELETE FROM clip WHERE id BETWEEN 20 AND 80")
    assert any(not any(page) for _, page in deleted.pages), "no page became zeros"
    log.commit(insert(3))
    return log


def page_size(size: int) -> Callable[[Path], SourceDatabase]:
    """Rows, a claim, a shrink and a snapshot in pages of `size` bytes."""

    def build(path: Path) -> SourceDatabase:
        log = SourceDatabase(path, page_size=size)
        log.commit(CREATE, insert(60, 700))
        log.fence()
        log.commit("DELETE FROM clip WHERE id > 40")
        log.vacuum()
        log.snapshot()
        log.commit(insert(20, 5000))
        assert log.segments[0].page_size == size
        return log

    return build


SOURCE_LOGS: dict[str, Callable[[Path], SourceDatabase]] = {
    "claims": claims,
    "growth holes": growth_holes,
    "shrinks": shrinks,
    "snapshots": snapshots,
    "snapshot of the last slot": snapshot_of_the_last_slot,
    "long tail": long_tail,
    "zeroed pages": zeroed_pages,
} | {f"pages of {size} bytes": page_size(size) for size in (512, 1024, 8192, 65536)}
