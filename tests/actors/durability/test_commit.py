"""Several commits as one: what a flush ships is what applying them one by one would have left."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.database.image import CommitPages, PageImage
from actors.durability.commit import PAGE_OVERHEAD_BYTES, Commit, merge_commits
from tests.actors.kit import PAGE_SIZE, a_commit, a_page, pages


@st.composite
def runs(draw: st.DrawFn) -> list[Commit]:
    """Commits as the image makes them: every page that a commit adds to the file is among its pages."""
    commits: list[Commit] = []
    count = 3
    for number in range(1, draw(st.integers(1, 8)) + 1):
        before, count = count, draw(st.integers(1, 6))
        changed = draw(st.sets(st.integers(1, count), min_size=1)) | set(range(before + 1, count + 1))
        content = tuple((page, a_page(100 * number + page)) for page in sorted(changed))
        commits.append(Commit(number, CommitPages(count, content), 0.0))
    return commits


@given(runs())
def test_merged_commits_leave_the_image_that_each_after_the_other_leaves(commits: list[Commit]) -> None:
    one_by_one = PageImage(PAGE_SIZE, [a_page(number) for number in range(1, 4)])
    at_once = one_by_one.copy()
    for commit in commits:
        one_by_one.apply(commit.pages)
    at_once.apply(merge_commits(commits))
    assert at_once.pages == one_by_one.pages


@given(runs())
def test_a_merge_holds_each_page_once_ascending_and_within_the_last_size(commits: list[Commit]) -> None:
    merged = merge_commits(commits)
    numbers = [number for number, _ in merged.pages]
    assert numbers == sorted(set(numbers)) and all(1 <= number <= merged.page_count for number in numbers)


def test_pages_past_the_last_size_are_left_out() -> None:
    merged = merge_commits([a_commit(1, 1, 4, page_count=4), a_commit(2, 1, page_count=2)])
    assert merged == pages(1, page_count=2, mark=2)


def test_a_commit_weighs_its_pages_and_a_little_for_each() -> None:
    assert a_commit(1, 1, 3).byte_size == 2 * (PAGE_SIZE + PAGE_OVERHEAD_BYTES)
