"""What a bookmark means to the owner that is asked (rule 12)."""

from __future__ import annotations

import pytest

from actors.errors import WriteLost
from actors.model.position import Reset, check_bookmark
from storage.log.bookmark import Bookmark
from storage.log.record import CUTS_MAX, Kind, LogState
from tests.actors.kit import a_record, a_state

TAKEN_OVER = a_state(
    a_record(Kind.TAKE, 2, base=1),
    a_record(commits=(2, 5)),
    a_record(Kind.OPEN, 3, machine_id="m2", base=5),
    a_record(epoch=3, commits=(6, 9)),
)


def check(bookmark: Bookmark, state: LogState = TAKEN_OVER, *, epoch: int = 3, by_epoch: bool = True) -> int:
    return check_bookmark(bookmark, epoch=epoch, gen=1, state=state, by_epoch=by_epoch)


@pytest.mark.parametrize("bookmark", [Bookmark(3, 9, 1), Bookmark(3, 20, 1), Bookmark(2, 5, 1), Bookmark(1, 1, 1)])
def test_rule_12_a_position_that_the_log_continues_is_waited_for(bookmark: Bookmark) -> None:
    assert check(bookmark) == bookmark.commit


@pytest.mark.parametrize("commit", [6, 9, 100])
def test_rule_12_an_older_epochs_position_above_its_successors_base_is_a_lost_write_not_a_wait(commit: int) -> None:
    with pytest.raises(WriteLost) as lost:
        check(Bookmark(2, commit, 1))
    assert lost.value.code == "write_lost" and not lost.value.retryable


def test_finding_32_the_mutant_takes_anothers_write_for_the_lost_one() -> None:
    assert check(Bookmark(2, 6, 1), by_epoch=False) == 6


def test_rule_12_the_earliest_takeover_behind_a_position_decides() -> None:
    state = TAKEN_OVER.advance(a_record(Kind.OPEN, 4, machine_id="m3", base=9))
    with pytest.raises(WriteLost):
        check(Bookmark(2, 6, 1), state, epoch=4)
    assert check(Bookmark(3, 9, 1), state, epoch=4) == 9


@pytest.mark.parametrize("bookmark", [Bookmark(4, 1, 1), Bookmark(3, 1, 2)])
def test_rule_12_a_position_of_a_later_epoch_or_generation_is_of_another_life(bookmark: Bookmark) -> None:
    with pytest.raises(Reset) as reset:
        check(bookmark)
    assert reset.value.code == "reset"


def test_rule_12_a_position_of_an_earlier_generation_goes_on_in_this_one() -> None:
    assert check_bookmark(Bookmark(2, 5, 1), epoch=3, gen=3, state=TAKEN_OVER) == 5


def test_rule_12_a_position_older_than_the_takeovers_still_known_is_reset_and_never_taken_for_reached() -> None:
    state = TAKEN_OVER
    for epoch in range(4, 4 + CUTS_MAX):
        state = state.advance(a_record(Kind.OPEN, epoch, base=9))
    with pytest.raises(Reset):
        check(Bookmark(2, 6, 1), state, epoch=3 + CUTS_MAX)
    assert check(Bookmark(3, 9, 1), state, epoch=3 + CUTS_MAX) == 9
