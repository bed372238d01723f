"""Segments applied in order, and merged into one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import CorruptSegment, LogGap
from storage.log.page import fill_growth, lock_page
from storage.log.rebuild import Image, merge, rebuild
from storage.log.segment import Segment, segment_flaw
from storage.log.snapshot import snapshot_segment
from tests.storage.log.segments import a_full_segment, a_page, a_segment


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Segment], list[list[bytes]]]:
    """Slots 1 to n of a random database, and its pages after each."""
    pages: list[bytes] = []
    segments: list[Segment] = []
    images: list[list[bytes]] = []
    for slot in range(1, draw(st.integers(1, 8)) + 1):
        old, new = len(pages), draw(st.integers(0, 12))
        numbers = draw(st.sets(st.integers(1, new), max_size=new)) if new else set()
        written = [(number, a_page(slot * 100 + number)) for number in numbers]
        changed = fill_growth(old if slot > 1 else 0, new, written, 512)
        pages = (pages + [b""] * new)[:new]
        for number, page in changed:
            pages[number - 1] = page
        segments.append(a_segment(first=slot, page_count=new, pages=changed, timestamp_ms=slot, node_id=slot))
        images.append(list(pages))
    return segments, images


@given(logs(), st.data())
def test_any_log_rebuilds_to_its_pages_from_any_snapshot(
    log: tuple[list[Segment], list[list[bytes]]], data: st.DataObject
) -> None:
    segments, images = log
    assert rebuild(None, segments) == Image(len(segments), 512, images[-1])
    base = data.draw(st.integers(1, len(segments)))
    snapshot = snapshot_segment(images[base - 1], page_size=512, last_slot=base, node_id=1, timestamp_ms=0)
    found = rebuild(snapshot, iter(segments[base:]))
    assert found == Image(len(segments), 512, images[-1])
    assert found.to_bytes() == b"".join(images[-1])


@given(logs(), st.data())
def test_a_merged_run_does_what_its_slots_do(log: tuple[list[Segment], list[list[bytes]]], data: st.DataObject) -> None:
    segments, images = log
    start = data.draw(st.integers(0, len(segments) - 1))
    end = data.draw(st.integers(start + 1, len(segments)))
    merged = merge(segments[start:end])
    assert (merged.first, merged.last, merged.node_id, merged.timestamp_ms) == (start + 1, end, end, end)
    assert segment_flaw(merged) is None
    found = rebuild(None, [*segments[:start], merged, *segments[end:]])
    assert found.pages == images[-1]


def test_a_shrink_cuts_the_image_off_and_growth_brings_new_pages() -> None:
    shrink = a_segment(first=2, page_count=2, pages=())
    grow = a_segment(first=3, page_count=3, pages=((3, bytes(512)),))
    found = rebuild(a_full_segment(4), [shrink, grow])
    assert found.pages == [a_page(1), a_page(2), bytes(512)]
    assert merge([shrink, grow]).pages == ((3, bytes(512)),)


def test_the_lock_page_of_an_image_holds_zeros() -> None:
    lock, page = lock_page(65536), b"x" * 65536
    snapshot = snapshot_segment([page] * (lock - 2), page_size=65536, last_slot=1, node_id=1, timestamp_ms=0)
    pages = ((lock - 1, page), (lock + 1, page))
    grown = Segment(2, 2, 65536, lock + 1, pages, 1, 0)
    found = rebuild(snapshot, [grown])
    assert len(found.pages) == lock + 1
    assert found.pages[lock - 2 :] == [page, bytes(65536), page]
    with pytest.raises(CorruptSegment, match="brings 1 of the new ones, expected 2"):
        rebuild(snapshot, [replace(grown, pages=pages[1:])])


def test_growth_without_its_pages_is_corrupt_whatever_its_size() -> None:
    huge = a_segment(first=2, page_count=4_000_000_000, pages=())
    with pytest.raises(CorruptSegment, match="slots 2 to 2: grows from 3 to 4000000000 pages and brings 0"):
        rebuild(a_full_segment(3), [huge])


@pytest.mark.parametrize("combine", [lambda segments: rebuild(None, segments), merge], ids=["rebuild", "merge"])
def test_slots_that_do_not_follow_each_other_are_a_gap(combine: object) -> None:
    assert callable(combine)
    for slot in (1, 3):
        with pytest.raises(LogGap, match="follows slot 1, expected slot 2"):
            combine([a_full_segment(3), a_segment(first=slot, pages=(), page_count=3)])


@pytest.mark.parametrize("combine", [lambda segments: rebuild(None, segments), merge], ids=["rebuild", "merge"])
def test_two_page_sizes_in_one_log_are_corrupt(combine: object) -> None:
    assert callable(combine)
    with pytest.raises(CorruptSegment, match="pages of 1024 bytes in a log of 512"):
        combine([a_full_segment(3), a_segment(first=2, page_size=1024, pages=(), page_count=3)])


def test_a_tail_without_its_snapshot_is_a_gap() -> None:
    with pytest.raises(LogGap, match="slots 7 to 7: follows slot 0, expected slot 1"):
        rebuild(None, [a_segment(first=7)])
    with pytest.raises(LogGap, match="nothing to rebuild from"):
        rebuild(None, [])
