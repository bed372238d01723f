"""One commit on its way from SQLite to the journal and the log. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from actors.database.image import CommitPages

PAGE_OVERHEAD_BYTES = 16


@dataclass(frozen=True, slots=True)
class Commit:
    """Commit `number` wrote `pages`; `at` is the boot clock when it was committed, in seconds."""

    number: int
    pages: CommitPages
    at: float

    @property
    def byte_size(self) -> int:
        """What the commit weighs in a journal, about, in bytes."""
        return sum(len(page) + PAGE_OVERHEAD_BYTES for _, page in self.pages.pages)


def merge_commits(commits: Iterable[Commit]) -> CommitPages:
    """Several commits in a row as one: the newest copy of each page, pages past the last size dropped."""
    newest: dict[int, bytes] = {}
    page_count = 0
    for commit in commits:
        newest.update(commit.pages.pages)
        page_count = commit.pages.page_count
    kept = tuple(sorted((number, page) for number, page in newest.items() if number <= page_count))
    return CommitPages(page_count, kept)
