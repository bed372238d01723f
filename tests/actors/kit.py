"""What the tests of the durability core begin with: records, commits, logs and processes by keywords.

A test takes `virtual` time, a `HeldStore`, a `FakeDisk` per machine and a `Process` per host on it; all of them can be
made to fail, to wait and to die. Values come from the factories here, each with one plain default per field.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from actors.database.image import CommitPages
from actors.durability.commit import Commit
from storage.layout.address import Address
from storage.log.actor_log import ActorLog, Entry, draft_slot
from storage.log.record import Kind, LogState, OpenEpoch, Record
from storage.log.segment import Page, Segment
from tests.actors.fake_disk import FakeDisk
from tests.actors.held_store import Held, HeldStore, Sent
from tests.actors.process import ADDRESS, ENV, Actor, Ask, Process, labels, prepared, sql_body
from tests.actors.virtual_time import VirtualClock, virtual

__all__ = [
    "ADDRESS",
    "ENV",
    "PAGE_SIZE",
    "Actor",
    "Ask",
    "FakeDisk",
    "Held",
    "HeldStore",
    "Process",
    "Sent",
    "VirtualClock",
    "a_commit",
    "a_log",
    "a_page",
    "a_record",
    "a_segment",
    "a_state",
    "an_open_epoch",
    "append",
    "labels",
    "log_of",
    "pages",
    "prepared",
    "sql_body",
    "virtual",
]

PAGE_SIZE = 512


def a_page(mark: int, size: int = PAGE_SIZE) -> bytes:
    """A page that differs from every other mark's."""
    return (b"page marked %d; " % mark * (size // 8))[:size]


def pages(*numbers: int, page_count: int = 4, mark: int = 0) -> CommitPages:
    """Pages `numbers` of a database of `page_count`, told apart by `mark`."""
    return CommitPages(page_count, tuple((number, a_page(number + 100 * mark)) for number in sorted(numbers)))


def a_commit(number: int, *changed: int, at: float = 0.0, page_count: int = 4) -> Commit:
    """Commit `number`, which wrote pages `changed` (page 1 unless said); its pages carry its number."""
    return Commit(number, pages(*(changed or (1,)), page_count=page_count, mark=number), at)


def a_record(
    kind: Kind = Kind.SEGMENT,
    epoch: int = 2,
    *,
    claim_id: str | None = None,
    put_id: str | None = None,
    machine_id: str = "m1",
    ttl_s: float = 10.0,
    gen: int = 1,
    commits: tuple[int, int] | None = None,
    base: int = 0,
) -> Record:
    """A record of epoch 2 on machine m1."""
    return Record(
        kind=kind,
        epoch=epoch,
        claim_id=claim_id or f"{epoch:032x}",
        put_id=put_id or f"put {kind} {epoch}",
        machine_id=machine_id,
        ttl_s=ttl_s,
        gen=gen,
        commits=commits,
        base=base,
    )


def an_open_epoch(epoch: int = 2, *, machine_id: str = "m1", ttl_s: float = 10.0, closed: bool = False) -> OpenEpoch:
    """Epoch 2, open, on machine m1."""
    return OpenEpoch(epoch, f"{epoch:032x}", machine_id, ttl_s, closed)


def a_state(*records: Record) -> LogState:
    """The state after IMPORT (epoch 1, commit 1) and `records`."""
    return LogState().advance_all([a_record(Kind.IMPORT, 1, commits=(1, 1)), *records])


def a_segment(slot: int, epoch: int, changed: tuple[Page, ...] = (), *, page_count: int = 4) -> Segment:
    """The segment of one slot."""
    return Segment(slot, slot, PAGE_SIZE, page_count, changed, epoch, 1_700_000_000_000)


def a_log(store: HeldStore, address: Address = ADDRESS) -> ActorLog:
    """The log of an address."""
    return ActorLog(store, ENV, address, VirtualClock(), random.Random(0))


async def append(log: ActorLog, slot: int, record: Record, changed: Mapping[int, int] | None = None) -> None:
    """Write a slot: `changed` maps page numbers to marks; slot 1 gets all four pages."""
    if changed is None:
        changed = dict.fromkeys(range(1, 5), 0) if slot == 1 else {}
    content = tuple((number, a_page(mark)) for number, mark in sorted(changed.items()))
    await log.put(draft_slot(slot, record, a_segment(slot, record.epoch, content)))


async def log_of(store: HeldStore, address: Address = ADDRESS) -> list[Entry]:
    """Every slot that is stored, from slot 1, past all holds."""
    log = ActorLog(store.inner, ENV, address, VirtualClock(), random.Random(0))
    return await log.read_from(1)
