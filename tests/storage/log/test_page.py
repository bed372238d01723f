"""Page numbers: the lock page and the holes of a growing commit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from storage.log.page import fill_growth, lock_page, stored_page_count
from tests.storage.log.segments import a_page


def test_the_lock_page_holds_the_byte_at_one_gibibyte() -> None:
    assert lock_page(4096) == 262_145
    for page_size in (512 << power for power in range(8)):
        assert (lock_page(page_size) - 1) * page_size <= 1 << 30 < lock_page(page_size) * page_size


def test_the_lock_page_is_not_among_the_stored_ones() -> None:
    lock = lock_page(65536)
    assert stored_page_count(lock - 1, 65536) == lock - 1
    assert stored_page_count(lock, 65536) == lock - 1
    assert stored_page_count(lock + 1, 65536) == lock


def test_holes_of_a_growing_commit_become_zeros() -> None:
    filled = fill_growth(2, 6, [(5, a_page(5)), (1, a_page(1))], 512)
    assert filled == ((1, a_page(1)), (3, bytes(512)), (4, bytes(512)), (5, a_page(5)), (6, bytes(512)))


def test_pages_cut_off_by_the_same_commit_are_dropped() -> None:
    assert fill_growth(9, 4, [(4, a_page(4)), (7, a_page(7))], 512) == ((4, a_page(4)),)


def test_the_lock_page_is_never_filled_and_never_kept() -> None:
    lock = lock_page(65536)
    filled = fill_growth(lock - 2, lock + 1, [(lock, b"x" * 65536)], 65536)
    assert [number for number, _ in filled] == [lock - 1, lock + 1]


@given(st.integers(0, 60), st.integers(0, 60), st.sets(st.integers(1, 60)))
def test_every_new_page_is_there_once_and_written_ones_are_kept(old: int, new: int, numbers: set[int]) -> None:
    written = {number: a_page(number) for number in numbers}
    filled = dict(fill_growth(old, new, written.items(), 512))
    assert list(filled) == sorted(filled)
    assert set(filled) == {number for number in numbers if number <= new} | set(range(old + 1, new + 1))
    assert all(page == written.get(number, bytes(512)) for number, page in filled.items())
