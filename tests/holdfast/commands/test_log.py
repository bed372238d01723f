"""`holdfast log`, on a local store without a service."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from storage.clock import SystemClock
from storage.layout.keys import orphan_prefix, selected_profile_key
from storage.log.bookmark import Bookmark
from storage.objects.build import open_store
from storage.objects.settings import StoreSettings
from tests.holdfast.archive.a_log import ADDRESS, a_season
from tests.holdfast.cli import Outcome, holdfast

ORPHAN = f"{orphan_prefix('dev', ADDRESS)}{'c1' * 16}.journal"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory with the log of one user, whose profile is selected."""
    asyncio.run(_fill(tmp_path / "data"))
    return tmp_path / "data"


async def _fill(root: Path) -> None:
    store = open_store(StoreSettings(root=root), clock=SystemClock(), rng=random.Random(1))
    await a_season(store)
    await store.put(selected_profile_key("dev", ADDRESS.user), b'{"profileId": "%s"}' % ADDRESS.profile.encode())
    await store.put(ORPHAN, b"x" * 10)
    await store.close()


def log(data_dir: Path, action: str, *arguments: str) -> Outcome:
    return holdfast("log", action, *arguments, "--data-dir", str(data_dir))


def notes(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [note for (note,) in connection.execute("SELECT note FROM clips ORDER BY id")]


def test_slots_are_listed_with_their_kind_and_commits(data_dir: Path) -> None:
    outcome = log(data_dir, "list", "ana", "--count", "3")
    rows = [line.split()[:4] for line in outcome.out.splitlines()[2:]]
    assert rows == [["4", "segment", "1", "3-3"], ["5", "segment", "1", "4-4"], ["6", "release", "1", rows[2][3]]]


def test_a_sound_log_verifies(data_dir: Path) -> None:
    outcome = log(data_dir, "verify", "ana")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"{ADDRESS}: 6 slots, 1 snapshots, ")
    assert outcome.out.endswith("commit 4, slot 6: sound\n")


def test_a_damaged_log_is_told_line_by_line_and_by_its_own_exit_code(data_dir: Path) -> None:
    (slot,) = data_dir.rglob("0000000000000003-0000000000000003.ltx")
    slot.unlink()
    outcome = log(data_dir, "verify", "ana")
    assert outcome.code == 4
    assert "slot 3 is missing" in outcome.err


def test_the_newest_state_is_restored_without_system_tables(data_dir: Path, tmp_path: Path) -> None:
    outcome = log(data_dir, "restore", "ana", "-o", str(tmp_path / "a.sqlite"))
    assert (outcome.code, outcome.err) == (0, "")
    assert "as at the end of slot 6" in outcome.out
    assert notes(tmp_path / "a.sqlite") == ["first", "second", "third"]


def test_a_bookmark_restores_what_it_saw(data_dir: Path, tmp_path: Path) -> None:
    outcome = log(data_dir, "restore", "ana", "--at", str(Bookmark(1, 3, 1)), "-o", str(tmp_path / "a.sqlite"))
    assert (outcome.code, outcome.err) == (0, "")
    assert notes(tmp_path / "a.sqlite") == ["first", "second"]


def test_an_existing_file_is_not_replaced(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_bytes(b"mine")
    assert log(data_dir, "restore", "ana", "-o", str(tmp_path / "a.sqlite")).code == 2
    assert (tmp_path / "a.sqlite").read_bytes() == b"mine"


def test_the_log_is_exported_in_litestreams_layout(data_dir: Path, tmp_path: Path) -> None:
    outcome = log(data_dir, "export", "ana", str(tmp_path / "out"))
    assert (outcome.code, outcome.err) == (0, "")
    assert len(list((tmp_path / "out" / "ltx" / "0").iterdir())) == 6
    assert len(list((tmp_path / "out" / "ltx" / "9").iterdir())) == 1


def test_orphans_are_listed_whole_for_one_user_and_for_everybody(data_dir: Path) -> None:
    for outcome in (log(data_dir, "orphans", "ana"), log(data_dir, "orphans")):
        assert outcome.code == 0
        assert ORPHAN in outcome.out


def test_an_unknown_user_is_one_line(data_dir: Path) -> None:
    outcome = log(data_dir, "list", "nobody")
    assert outcome.code == 2
    assert outcome.err == "holdfast: user 'nobody': no profiles in environment dev\n"


def test_a_data_directory_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    outcome = log(tmp_path / "typo", "list", "ana")
    assert outcome.code == 2
    assert not (tmp_path / "typo").exists()
