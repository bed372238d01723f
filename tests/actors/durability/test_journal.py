"""The journal of one actor: two files in turns, group commit, failures, and what a restart finds."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.database.image import CommitPages
from actors.durability.commit import Commit
from actors.durability.disk import DiskFull
from actors.durability.journal import Journal, JournalContents, file_names, join_runs, read_journal
from actors.durability.journal_record import JournalRecord
from storage.errors import UnsupportedVersion
from tests.actors.kit import FakeDisk, a_commit, pages, virtual

CLAIM = "ab" * 16
NAME = "journals/alice/main"


def a_journal(disk: FakeDisk, *, claim_id: str = CLAIM, epoch: int = 3, after: int = 0) -> Journal:
    journal = Journal(disk, NAME, claim_id, epoch)
    journal.restart(after)
    return journal


def numbers(disk: FakeDisk) -> list[int]:
    contents = read_journal(disk, NAME)
    return [] if contents is None else [record.number for record in contents.records]


def append(journal: Journal, *commits: int) -> None:
    for number in commits:
        journal.append(a_commit(number))


def test_a_synced_commit_survives_a_power_cut_with_its_pages() -> None:
    disk = FakeDisk()
    journal = a_journal(disk)
    journal.append(a_commit(1, 1, 3))
    assert journal.sync() == 1
    disk.restart()
    contents = read_journal(disk, NAME)
    assert contents is not None and (contents.claim_id, contents.epoch) == (CLAIM, 3)
    assert contents.records == (JournalRecord(CLAIM, 3, 1, pages(1, 3, mark=1)),)


def test_nothing_is_durable_before_the_sync() -> None:
    disk = FakeDisk()
    journal = a_journal(disk)
    append(journal, 1)
    assert journal.dirty and journal.synced == 0
    disk.restart()
    assert read_journal(disk, NAME) is None


def test_one_sync_makes_every_commit_durable_that_waited() -> None:
    disk = FakeDisk()
    journal = a_journal(disk)
    append(journal, 1, 2, 3)
    assert journal.sync() == 3
    assert disk.syncs == 1 and numbers(disk) == [1, 2, 3] and not journal.dirty


def test_a_sync_without_new_commits_touches_no_disk() -> None:
    disk = FakeDisk()
    journal = a_journal(disk)
    append(journal, 1)
    journal.sync()
    assert journal.sync() == 1 and disk.syncs == 1


def test_turns_write_over_what_is_in_the_bucket_and_the_order_is_that_of_the_commits() -> None:
    disk = FakeDisk()
    journal = a_journal(disk)
    append(journal, 1, 2)
    journal.sync()
    journal.turn()  # a flush takes 1 and 2
    append(journal, 3, 4)
    journal.sync()
    assert numbers(disk) == [1, 2, 3, 4]
    journal.turn()  # it has settled; the next one takes 3 and 4
    append(journal, 5)
    journal.sync()
    assert numbers(disk) == [3, 4, 5]


def test_records_of_an_earlier_pass_behind_the_newest_one_are_not_read() -> None:
    disk = FakeDisk()
    journal = a_journal(disk)
    append(journal, 1, 2, 3)
    journal.sync()
    journal.turn()
    journal.turn()
    append(journal, 4)
    journal.sync()
    first, _ = file_names(NAME)
    assert len(disk.files[first].written) > 0 and numbers(disk) == [4]


def test_a_commit_that_was_buffered_when_a_flush_began_is_synced_in_its_own_file() -> None:
    disk = FakeDisk()
    journal = a_journal(disk)
    append(journal, 1)
    journal.turn()
    append(journal, 2)
    assert journal.sync() == 2
    disk.restart()
    assert numbers(disk) == [1, 2]


class OrderedDisk(FakeDisk):
    """Notes which file is synced when."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    def check_sync(self, name: str) -> None:
        self.order.append(name)
        super().check_sync(name)


def test_the_older_file_is_synced_first_so_that_what_is_durable_has_no_gap() -> None:
    disk = OrderedDisk()
    journal = a_journal(disk)
    append(journal, 1)
    journal.turn()
    append(journal, 2)
    journal.sync()
    assert disk.order == list(file_names(NAME))


# ---- failures


@pytest.mark.parametrize("fault", ["full", "broken"])
def test_after_a_failed_write_or_sync_nothing_more_is_journaled_until_a_restart(fault: str) -> None:
    disk = FakeDisk()
    journal = a_journal(disk)
    append(journal, 1)
    journal.sync()
    setattr(disk, fault, True)
    append(journal, 2)
    with pytest.raises(DiskFull):
        journal.sync()
    setattr(disk, fault, False)
    append(journal, 3)
    assert journal.failed is not None and not journal.dirty and journal.synced == 1
    journal.restart(3)
    append(journal, 4)
    assert journal.sync() == 4
    disk.restart()
    contents = read_journal(disk, NAME)
    assert contents is not None and [record.number for record in contents.above(3)] == [4]


def test_a_failed_journal_takes_nothing_in_that_would_leave_a_gap() -> None:
    disk = FakeDisk()
    journal = a_journal(disk)
    disk.broken = True
    append(journal, 1)
    with pytest.raises(DiskFull):
        journal.sync()
    disk.broken = False
    append(journal, 2, 3)
    journal.turn()
    assert numbers(disk) == [1]


def test_a_full_disk_when_a_flush_begins_fails_the_journal_and_not_the_flush() -> None:
    disk = FakeDisk()
    journal = a_journal(disk)
    append(journal, 1)
    disk.full = True
    journal.turn()
    assert journal.failed is not None


def test_a_journal_may_not_begin_again_below_a_commit_that_is_only_in_it() -> None:
    journal = a_journal(FakeDisk())
    append(journal, 1, 2)
    with pytest.raises(AssertionError, match="the log ends at 1"):
        journal.restart(1)


# ---- in a thread


@virtual
async def test_commits_appended_while_a_thread_syncs_wait_for_the_next_sync() -> None:
    disk = FakeDisk()
    disk.slow_s = 0.5
    journal = a_journal(disk)
    append(journal, 1)
    task = asyncio.ensure_future(journal.sync_in_thread())
    await asyncio.sleep(0.1)
    append(journal, 2)
    assert await task == 1
    assert journal.dirty and journal.synced == 1
    assert await journal.sync_in_thread() == 2


@virtual
async def test_a_sync_that_fails_in_a_thread_fails_the_journal() -> None:
    disk = FakeDisk()
    journal = a_journal(disk)
    append(journal, 1)
    disk.broken = True
    with pytest.raises(DiskFull):
        await journal.sync_in_thread()
    assert journal.failed is not None and journal.synced == 0


# ---- what a restart finds


def test_a_new_claims_journal_hides_what_an_older_one_left_in_the_other_file() -> None:
    disk = FakeDisk()
    old = a_journal(disk, epoch=2, claim_id="cd" * 16)
    append(old, 1)
    old.turn()
    append(old, 2)
    old.sync()
    new = a_journal(disk, epoch=3, after=2)
    append(new, 3)
    new.sync()
    contents = read_journal(disk, NAME)
    assert contents is not None and contents.claim_id == CLAIM and numbers(disk) == [3]


def test_a_torn_tail_is_left_out() -> None:
    disk = FakeDisk()
    journal = a_journal(disk)
    append(journal, 1, 2)
    journal.sync()
    first, _ = file_names(NAME)
    del disk.files[first].written[-3:]
    assert numbers(disk) == [1]


def test_a_journal_of_a_newer_version_is_refused() -> None:
    disk = FakeDisk()
    journal = a_journal(disk)
    append(journal, 1)
    journal.sync()
    disk.files[file_names(NAME)[0]].written[3] = 9
    with pytest.raises(UnsupportedVersion):
        read_journal(disk, NAME)


def test_closing_keeps_the_files_or_deletes_them() -> None:
    for delete in (False, True):
        disk = FakeDisk()
        journal = a_journal(disk)
        append(journal, 1)
        journal.sync()
        journal.close(delete=delete)
        assert numbers(disk) == ([] if delete else [1])


def contents_of(*found: int) -> JournalContents:
    return JournalContents(CLAIM, 3, tuple(JournalRecord(CLAIM, 3, number, CommitPages(1, ())) for number in found))


@pytest.mark.parametrize(
    ("held", "log_ends_at", "expected"),
    [
        ([4, 5, 6], 3, [4, 5, 6]),
        ([4, 5, 6], 5, [6]),
        ([4, 5, 6], 6, []),
        ([4, 5, 6], 9, []),
        ([4, 5, 7], 3, [4, 5]),  # what stands behind a gap was never synced as a whole
        ([5, 6], 3, []),
    ],
)
def test_rule_4_only_commits_that_follow_the_logs_last_without_a_gap_are_replayed(
    held: list[int], log_ends_at: int, expected: list[int]
) -> None:
    assert [record.number for record in contents_of(*held).above(log_ends_at)] == expected


def test_the_view_names_claim_epoch_and_range() -> None:
    view = contents_of(4, 5, 6).view
    assert (view.claim_id, view.epoch, view.first_commit, view.last_commit) == (CLAIM, 3, 4, 6)


def test_no_runs_are_no_journal() -> None:
    assert join_runs([]) is None


EVENTS = st.lists(st.sampled_from(["commit", "commit", "sync", "flush"]), max_size=30)


@given(EVENTS, st.data())
def test_whatever_was_synced_and_not_flushed_is_found_after_a_power_cut(events: list[str], data: st.DataObject) -> None:
    """Flushes settle at once here; the unsynced part of each file survives in any prefix."""
    disk = FakeDisk()
    journal = a_journal(disk)
    committed, synced, flushed = 0, 0, 0
    for event in events:
        if event == "commit":
            committed += 1
            journal.append(Commit(committed, pages(1, mark=committed), 0.0))
        elif event == "sync":
            synced = journal.sync()
        elif committed > flushed:
            journal.turn()
            flushed = committed
    for file in disk.files.values():
        kept = data.draw(st.integers(0, len(file.written)), label="bytes kept of a file")
        longer = max(len(file.synced), kept)
        mixed = bytearray(file.written[:kept]) + file.synced[kept:longer]
        file.synced = mixed
    disk.restart()
    contents = read_journal(disk, NAME)
    found = [record.number for record in contents.above(flushed)] if contents is not None else []
    assert found[: max(0, synced - flushed)] == list(range(flushed + 1, synced + 1))
    assert found == list(range(flushed + 1, flushed + 1 + len(found)))
