"""Page images: snapshots share pages, commits apply, bytes go in and out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.database.image import CommitPages, PageImage, page_size_of, zero_page
from tests.actors.database.factory import a_database, run

page_numbers = st.integers(1, 12)
page_bytes = st.binary(min_size=1, max_size=1).map(lambda letter: letter * 512)


@st.composite
def commits(draw: st.DrawFn) -> CommitPages:
    count = draw(page_numbers)
    pages = draw(st.dictionaries(st.integers(1, count), page_bytes))
    return CommitPages(count, tuple(sorted(pages.items())))


@given(st.lists(commits(), max_size=8))
@settings(deadline=None)
def test_applied_commits_give_the_last_content_of_each_page_and_zeros_elsewhere(
    run_of_commits: list[CommitPages],
) -> None:
    image, expected = PageImage.empty(512), dict[int, bytes]()
    for commit in run_of_commits:
        image.apply(commit)
        expected = {number: page for number, page in expected.items() if number <= commit.page_count}
        expected.update(commit.pages)
        assert image.page_count == commit.page_count
        assert image.pages == [expected.get(number, zero_page(512)) for number in range(1, commit.page_count + 1)]


def test_a_copy_does_not_see_later_commits() -> None:
    image = PageImage(512, [b"a" * 512])
    copy = image.copy()
    image.apply(CommitPages(2, ((1, b"b" * 512), (2, b"c" * 512))))
    assert copy.to_bytes() == b"a" * 512
    assert image.to_bytes() == b"b" * 512 + b"c" * 512


@pytest.mark.parametrize("page", [(0, b"x" * 512), (3, b"x" * 512), (1, b"x" * 511)])
def test_a_commit_that_does_not_fit_is_refused(page: tuple[int, bytes]) -> None:
    with pytest.raises(ValueError, match="in a commit of 2 pages"):
        PageImage.empty(512).apply(CommitPages(2, (page,)))


def test_bytes_round_trip_through_chunks_of_any_size() -> None:
    image = a_database("CREATE TABLE t(a)", "INSERT INTO t VALUES(zeroblob(20000))").copy_image()
    whole = image.to_bytes()
    assert PageImage.from_bytes(whole).pages == image.pages
    for chunk_bytes in (1, 4096, 10_000, 1 << 20):
        assert b"".join(image.to_chunks(chunk_bytes)) == whole
    assert len(whole) == image.byte_size == image.page_count * image.page_size


def test_all_pages_as_one_commit_rebuild_the_image() -> None:
    image = a_database("CREATE TABLE t(a)", "INSERT INTO t VALUES(zeroblob(9000))").copy_image()
    other = PageImage(4096, [b"?" * 4096] * 40)
    other.apply(image.as_commit())
    assert other.pages == image.pages


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
def test_the_page_size_is_read_from_the_header(page_size: int) -> None:
    database = a_database("CREATE TABLE t(a)", page_size=page_size)
    assert page_size_of(database.copy_image().to_bytes()) == page_size
    assert run(database, "PRAGMA page_size").rows == [(page_size,)]


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\x00", b"x" * 4096])
def test_bytes_that_are_no_database_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a SQLite database"):
        PageImage.from_bytes(data)


def test_a_torn_page_at_the_end_is_refused() -> None:
    whole = a_database("CREATE TABLE t(a)").copy_image().to_bytes()
    with pytest.raises(ValueError, match="no whole number of pages"):
        PageImage.from_bytes(whole[:-1])


def test_a_page_size_that_sqlite_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="page size 1000"):
        PageImage.empty(1000)
