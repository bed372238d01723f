"""A log copied into Litestream's file layout (Litestream reading it: test_litestream_judge.py)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from storage.clock import SystemClock
from storage.errors import CorruptSegment, InvalidRequest, LogGap, StorageError
from storage.log.export import EXPORT_PARALLEL_MAX, ExportReport, export_log, list_segments
from storage.log.segment import Segment, decode_segment, encode_segment
from storage.log.slot import SegmentName, slot_name, snapshot_name
from storage.objects.memory import MemoryStore
from storage.objects.port import StoredObject
from tests.storage.log.segments import a_full_segment, a_segment

PREFIX = "dev/users/42/profiles/default/log/"


def a_log(slots: int = 5, *, from_slot: int = 1, snapshots: tuple[int, ...] = ()) -> dict[SegmentName, Segment]:
    """Slot 1 with all pages, then slots without; snapshots at will."""
    names = {slot_name(slot): a_segment(first=slot, pages=()) for slot in range(max(2, from_slot), slots + 1)}
    if from_slot == 1:
        names[slot_name(1)] = a_full_segment(10)
    return names | {snapshot_name(slot): a_full_segment(10, last=slot) for slot in snapshots}


async def a_store(log: dict[SegmentName, Segment]) -> MemoryStore:
    store = MemoryStore(SystemClock())
    for name, segment in log.items():
        await store.put(PREFIX + name.path, encode_segment(segment))
    return store


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.ltx"))


async def test_every_segment_arrives_under_its_name_with_its_time(tmp_path: Path) -> None:
    log = a_log(EXPORT_PARALLEL_MAX + 3, snapshots=(2, 4))
    store, seen = await a_store(log), list[SegmentName]()
    report = await export_log(store, PREFIX, tmp_path / "out", on_segment=seen.append)
    files = {file.relative_to(tmp_path / "out").as_posix(): file for file in tmp_path.rglob("*") if file.is_file()}
    assert set(files) == {f"ltx/{name.level}/{name.path.partition('/')[2]}" for name in log}
    assert report == ExportReport(2, EXPORT_PARALLEL_MAX + 3, 19, size_of(tmp_path))
    assert seen == sorted(log)
    for name, segment in log.items():
        file = files[f"ltx/{name.level}/{name.path.partition('/')[2]}"]
        assert decode_segment(file.read_bytes()) == segment
        assert file.stat().st_mtime_ns == segment.timestamp_ms * 1_000_000


async def test_foreign_names_stay_behind(tmp_path: Path) -> None:
    store = await a_store(a_log(2))
    for name in ("current.json", "orphans/abc", "0001/0000000000000001-0000000000000002.ltx"):
        await store.put(PREFIX + name, b"not a segment")
    await store.put(PREFIX.replace("default", "other") + slot_name(3).path, b"another profile's")
    assert await list_segments(store, PREFIX) == [slot_name(1), slot_name(2)]
    assert (await export_log(store, PREFIX, tmp_path)).slots == 2


async def test_a_log_of_more_than_one_page_of_names_is_listed_whole() -> None:
    store = MemoryStore(SystemClock())
    for slot in range(1, 1203):
        await store.put(PREFIX + slot_name(slot).path, b"")
    assert await list_segments(store, PREFIX) == [slot_name(slot) for slot in range(1, 1203)]


async def test_a_collected_log_is_exported_from_its_snapshot_on(tmp_path: Path) -> None:
    store = await a_store(a_log(9, from_slot=6, snapshots=(6,)))
    assert await export_log(store, PREFIX, tmp_path) == ExportReport(1, 4, 9, size_of(tmp_path))


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (a_log(9, from_slot=3), "slot 1 is missing, slot 3 exists"),
        (a_log(9, from_slot=6, snapshots=(3,)), "slot 4 is missing, slot 6 exists"),
        ({name: segment for name, segment in a_log(9).items() if name != slot_name(5)}, "slot 5 is missing"),
    ],
    ids=["beginning", "behind the snapshot", "inside"],
)
async def test_a_gap_stops_the_export(tmp_path: Path, log: dict[SegmentName, Segment], message: str) -> None:
    with pytest.raises(LogGap, match=message):
        await export_log(await a_store(log), PREFIX, tmp_path)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (encode_segment(a_segment(first=3, pages=()))[:-1], "130 bytes"),
        (encode_segment(a_segment(first=4, pages=())), "holds slots 4 to 4"),
    ],
    ids=["truncated", "another slot's"],
)
async def test_a_corrupt_segment_stops_the_export_and_is_named(tmp_path: Path, body: bytes, message: str) -> None:
    store = await a_store(a_log())
    await store.put(PREFIX + slot_name(3).path, body)
    with pytest.raises(CorruptSegment, match=message) as caught:
        await export_log(store, PREFIX, tmp_path)
    assert PREFIX + slot_name(3).path in caught.value.message


async def test_an_export_never_mixes_with_an_earlier_one(tmp_path: Path) -> None:
    store = await a_store(a_log(2))
    await export_log(store, PREFIX, tmp_path)
    with pytest.raises(InvalidRequest, match="exists and is not empty"):
        await export_log(store, PREFIX, tmp_path)


async def test_no_log_is_no_export(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="there is no log"):
        await export_log(MemoryStore(SystemClock()), PREFIX, tmp_path)
    assert not (tmp_path / "ltx").exists()


class FailingStore(MemoryStore):
    async def get(self, key: str) -> StoredObject:
        raise StorageError(f"get {key}: the bucket is on fire")


class DamagedStore(MemoryStore):
    """Bodies arrive with a bit flipped that the format itself does not see."""

    async def get(self, key: str) -> StoredObject:
        found = await super().get(key)
        return replace(found, body=flip_an_unseen_bit(found.body))


def flip_an_unseen_bit(body: bytes) -> bytes:
    for bit in range(8 * len(body)):
        damaged = bytearray(body)
        damaged[bit // 8] ^= 1 << bit % 8
        with suppress(StorageError):
            decode_segment(bytes(damaged))
            return bytes(damaged)
    raise AssertionError("this segment has no redundant bit")


async def test_a_bit_that_only_the_md5_sees_stops_the_export(tmp_path: Path) -> None:
    store = DamagedStore(SystemClock())
    await store.put(PREFIX + slot_name(1).path, encode_segment(a_full_segment(3)))
    with pytest.raises(CorruptSegment, match=r"0001\.ltx: md5 of"):
        await export_log(store, PREFIX, tmp_path)


async def test_the_stores_own_error_comes_out_as_it_is(tmp_path: Path) -> None:
    store = FailingStore(SystemClock())
    await store.put(PREFIX + slot_name(1).path, encode_segment(a_full_segment(1)))
    with pytest.raises(StorageError, match="on fire"):
        await export_log(store, PREFIX, tmp_path)
