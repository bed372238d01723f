"""A log checked from end to end."""

from __future__ import annotations

from holdfast.archive.verification import verify_log
from storage.clock import SystemClock
from storage.log.record import Kind
from storage.objects.memory import MemoryStore
from tests.holdfast.archive.a_log import STEPS, LogWriter, a_season, pages_of


def ignore(count: int) -> None:
    """Progress that nobody watches."""


def a_store() -> MemoryStore:
    return MemoryStore(SystemClock())


async def test_a_sound_log_has_no_complaints_and_is_read_once() -> None:
    writer = await a_season(a_store())
    read: list[int] = []
    report = await verify_log(writer.log, advance=read.append)
    assert report.complaints == []
    assert (report.slots, report.snapshots, report.bytes) == (6, 1, sum(read))
    assert report.state == writer.state


async def test_a_collected_log_begins_with_its_snapshot() -> None:
    store = a_store()
    writer = await a_season(store)
    for slot in (1, 2, 3):
        await store.delete(writer.log.slot_key(slot))
    report = await verify_log(writer.log, advance=ignore)
    assert report.complaints == []
    assert report.state == writer.state


async def test_a_gap_is_found() -> None:
    store = a_store()
    writer = await a_season(store)
    await store.delete(writer.log.slot_key(3))
    report = await verify_log(writer.log, advance=ignore)
    assert any("slot 3 is missing" in complaint for complaint in report.complaints)


async def test_a_flipped_byte_is_found_and_the_rest_still_read() -> None:
    store = a_store()
    writer = await a_season(store)
    found = await store.get(writer.log.slot_key(3))
    body = bytearray(found.body)
    body[len(body) // 2] ^= 1
    await store.put(writer.log.slot_key(3), bytes(body), metadata=found.info.metadata)
    report = await verify_log(writer.log, advance=ignore)
    assert len(report.complaints) == 1
    assert writer.log.slot_key(3) in report.complaints[0]
    assert report.state == writer.state


async def test_rule_9_a_snapshot_that_differs_from_its_slots_is_found() -> None:
    writer = LogWriter(a_store())
    await writer.write(Kind.IMPORT, pages_of(STEPS[:3]))
    await writer.snapshot(pages_of(STEPS[:4]))
    report = await verify_log(writer.log, advance=ignore)
    assert len(report.complaints) == 1
    assert "differs from what the slots up to it add up to" in report.complaints[0]


async def test_a_state_that_is_no_database_is_found() -> None:
    writer = LogWriter(a_store())
    await writer.write(Kind.IMPORT, [b"x" * 4096])
    report = await verify_log(writer.log, advance=ignore)
    assert any("SQLite says" in complaint for complaint in report.complaints)


async def test_no_log_is_a_complaint() -> None:
    report = await verify_log(LogWriter(a_store()).log, advance=ignore)
    assert report.complaints == ["log of ana/00ff00ff: there is none"]
