"""Waiting for a bookmark (rule 12): what a client's position means to the owner that is asked. Pure."""

from __future__ import annotations

from actors.errors import WriteLost
from storage.log.bookmark import Bookmark
from storage.log.record import LogState


class Reset(WriteLost):
    """The bookmark belongs to a life of the database that this one does not continue."""

    code = "reset"


def check_bookmark(bookmark: Bookmark, *, epoch: int, gen: int, state: LogState, by_epoch: bool = True) -> int:
    """The commit to wait for. Raises WriteLost where a takeover cut it off, Reset where it is from the future or so old
    that the log no longer knows what takeovers have cut off since.

    `by_epoch=False` is the mutant of finding 32.
    """
    if not by_epoch:
        return bookmark.commit
    if bookmark.epoch > epoch or bookmark.gen > gen:
        raise Reset(f"bookmark {bookmark}: of epoch {bookmark.epoch}, this owner has {epoch}")
    if bookmark.epoch < state.forgotten:
        raise Reset(f"bookmark {bookmark}: of epoch {bookmark.epoch}, takeovers are known from {state.forgotten} on")
    if state.lost(epoch=bookmark.epoch, commit=bookmark.commit):
        raise WriteLost(f"bookmark {bookmark}: its write was lost when another machine took over")
    return bookmark.commit
