"""Restores from the bucket alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from actors.errors import WriteLost
from holdfast.archive.restoration import parse_target, restore, slot_of_bookmark
from storage.clock import SystemClock
from storage.errors import InvalidRequest, LogGap
from storage.log.bookmark import Bookmark
from storage.log.rebuild import Image
from storage.log.record import Kind
from storage.log.restore_plan import AtTime, Latest
from storage.objects.memory import MemoryStore
from tests.holdfast.archive.a_log import STEPS, LogWriter, a_season, pages_of


def notes(image: Image) -> list[str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(image.to_bytes())
        return [note for (note,) in connection.execute("SELECT note FROM clips ORDER BY id")]


def a_store() -> MemoryStore:
    return MemoryStore(SystemClock())


def ignore(count: int) -> None:
    """Progress that nobody watches."""


async def test_the_newest_state_is_restored_by_default() -> None:
    writer = await a_season(a_store())
    assert notes(await restore(writer.log, Latest(), advance=ignore)) == ["first", "second", "third"]


@pytest.mark.parametrize(("commit", "expected"), [(1, []), (2, ["first"]), (3, ["first", "second"]), (4, STEPS[2:])])
async def test_a_bookmark_restores_the_state_that_its_holder_saw(commit: int, expected: list[str]) -> None:
    writer = await a_season(a_store())
    image = await restore(writer.log, Bookmark(1, commit, 1), advance=ignore)
    assert len(notes(image)) == len(expected)


async def test_a_bookmark_above_the_log_is_refused() -> None:
    writer = await a_season(a_store())
    with pytest.raises(InvalidRequest, match="ends before bookmark"):
        await slot_of_bookmark(writer.log, Bookmark(1, 5, 1))


async def test_rule_12_a_bookmark_that_a_takeover_cut_off_is_told_to_be_lost() -> None:
    writer = LogWriter(a_store())
    await writer.write(Kind.IMPORT, pages_of(STEPS[:2]))
    await writer.write(Kind.TAKE)
    await writer.write(Kind.SEGMENT, pages_of(STEPS[:3]))
    await writer.write(Kind.CLAIM, epoch=2)
    await writer.write(Kind.OPEN, epoch=2)
    await writer.write(Kind.SEGMENT, pages_of(STEPS[:4]), epoch=2)
    assert await slot_of_bookmark(writer.log, Bookmark(1, 2, 1)) == 3
    with pytest.raises(WriteLost):
        await slot_of_bookmark(writer.log, Bookmark(1, 3, 1))


async def test_a_time_before_the_log_is_refused() -> None:
    writer = await a_season(a_store())
    with pytest.raises(InvalidRequest, match="the target is not there"):
        await restore(writer.log, AtTime(1.0), advance=ignore)


async def test_a_gap_stops_the_restore() -> None:
    store = a_store()
    writer = await a_season(store)
    await store.delete(writer.log.slot_key(5))
    with pytest.raises(LogGap, match="slot 5 is missing"):
        await restore(writer.log, Latest(), advance=ignore)


async def test_a_user_without_a_log_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="there is none"):
        await restore(LogWriter(a_store()).log, Latest(), advance=ignore)


def test_targets_are_bookmarks_or_times() -> None:
    bookmark = Bookmark(1, 2, 3)
    assert parse_target(None) == Latest()
    assert parse_target(str(bookmark)) == bookmark
    assert parse_target("1970-01-01T00:01:00Z") == AtTime(60.0)
    assert parse_target("1970-01-01T00:01:00") == AtTime(60.0)
    assert parse_target("1970-01-01T01:01:00+01:00") == AtTime(60.0)
    assert parse_target("1700000000.5") == AtTime(1_700_000_000.5)
    with pytest.raises(InvalidRequest, match="expected a bookmark, a time"):
        parse_target("yesterday")
