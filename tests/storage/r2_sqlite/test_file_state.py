"""Rule 13: the state of a file, in its body and repeated in metadata."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import CorruptObject, UnsupportedVersion
from storage.r2_sqlite.file_state import (
    METADATA_PREFIX,
    RING_LENGTH_MAX,
    FileState,
    Mode,
    read_state,
    state_from_metadata,
    state_metadata,
    tombstone_body,
    with_state,
)

ids = st.text("0123456789abcdef", min_size=1, max_size=32)
states = st.builds(
    FileState,
    state=st.sampled_from(Mode),
    gen=st.integers(0, 2**40),
    nonce=ids,
    ring=st.lists(ids, max_size=RING_LENGTH_MAX).map(tuple),
)


def a_body(*statements: str) -> bytes:
    connection = apsw.Connection(":memory:")
    for sql in statements or ("CREATE TABLE t(a); INSERT INTO t VALUES(1), (2)",):
        connection.execute(sql)
    return connection.serialize("main")


def content(body: bytes, sql: str) -> list[tuple[object, ...]]:
    connection = apsw.Connection(":memory:")
    connection.deserialize("main", body)
    assert connection.pragma("integrity_check") == "ok"
    return list(connection.execute(sql).fetchall())


@given(states)
@settings(deadline=None)
def test_rule_13_a_state_is_read_from_a_tombstone_as_it_was_written(state: FileState) -> None:
    body = tombstone_body(state)
    assert read_state(body) == state
    assert len(body) <= 8192


@given(states, states)
@settings(deadline=None)
def test_rule_13_a_state_replaces_another_and_leaves_the_rows_alone(one: FileState, two: FileState) -> None:
    body = with_state(with_state(a_body(), one), two)
    assert read_state(body) == two
    assert content(body, "SELECT a FROM t") == [(1,), (2,)]


@given(states)
@settings(deadline=None)
def test_rule_13_metadata_repeats_all_but_the_ring(state: FileState) -> None:
    metadata = state_metadata(state)
    assert all(key == key.lower() and value.isascii() for key, value in metadata.items())
    repeated = state_from_metadata(metadata)
    assert repeated == FileState(state.state, state.gen, state.nonce, ())


def test_rule_13_a_file_without_the_table_is_open_of_generation_0() -> None:
    assert read_state(a_body()) == FileState(Mode.OPEN, 0, "", ())
    assert read_state(b"") == FileState()
    assert read_state(with_state(b"", FileState(Mode.ACTOR, 1, "n"))) == FileState(Mode.ACTOR, 1, "n")


def test_rule_13_the_ring_holds_the_last_64_put_ids() -> None:
    state = FileState()
    for number in range(100):
        state = state.remember(f"put-{number}", f"nonce-{number}")
    assert state.ring == tuple(f"put-{number}" for number in range(36, 100))
    assert state.nonce == "nonce-99"
    assert read_state(tombstone_body(state)) == state


def test_rule_13_another_nonce_is_another_body() -> None:
    one, two = (tombstone_body(FileState(Mode.ACTOR, 1, nonce)) for nonce in ("a", "b"))
    assert one != two


def test_a_tombstone_is_a_small_database_for_every_reader() -> None:
    body = tombstone_body(FileState(Mode.ACTOR, 1, "n"))
    assert content(body, "SELECT state, gen FROM _cf_file") == [("actor", 1)]


TABLE = "CREATE TABLE _cf_file(id, format, state, gen, nonce, ring);"


@pytest.mark.parametrize(
    "body",
    [
        b"not a database at all",
        bytes(5000),
        a_body()[:4096],
        tombstone_body(FileState())[:600],
        a_body(TABLE),
        a_body("CREATE TABLE _cf_file(a)"),
        a_body(f"{TABLE} INSERT INTO _cf_file VALUES(1, 1, 'lost', 1, 'n', '[]')"),
        a_body(f"{TABLE} INSERT INTO _cf_file VALUES(1, 1, 'open', 1, 'n', 'x')"),
        a_body(f"{TABLE} INSERT INTO _cf_file VALUES(1, 1, 'open', 'y', 'n', '[]')"),
        a_body(f"{TABLE} INSERT INTO _cf_file VALUES(1, 1, 'open', 1, CAST(x'ff' AS TEXT), '[]')"),
        a_body(f"{TABLE} INSERT INTO _cf_file VALUES(1, 1, 'open', 1, 'n', '[]'), (2, 1, 'open', 1, 'n', '[]')"),
    ],
)
def test_a_body_that_no_version_writes_is_corrupt(body: bytes) -> None:
    with pytest.raises(CorruptObject):
        read_state(body)


def test_a_newer_format_is_refused_not_guessed() -> None:
    newer_row = f"{TABLE} INSERT INTO _cf_file VALUES(1, 2, 'open', 1, 'n', '[]')"
    with pytest.raises(UnsupportedVersion, match="format 2, this version reads 1"):
        read_state(a_body(newer_row))
    newer = {**state_metadata(FileState()), METADATA_PREFIX + "format": "2"}
    assert state_from_metadata(newer) is None


@pytest.mark.parametrize("missing", ["format", "state", "gen", "nonce"])
def test_metadata_that_lacks_a_field_says_nothing(missing: str) -> None:
    metadata = state_metadata(FileState(Mode.OPEN, 1, "n"))
    del metadata[METADATA_PREFIX + missing]
    assert state_from_metadata(metadata) is None
    assert state_from_metadata({}) is None


def test_a_wal_file_is_read_and_written_too(tmp_path: Path) -> None:
    path = tmp_path / "wal.sqlite"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES(5)").fetchall()
    connection.close()
    body = path.read_bytes()
    assert read_state(body) == FileState()
    sealed = with_state(body, FileState(Mode.SEALING, 1, "n"))
    assert read_state(sealed).state is Mode.SEALING
    assert content(sealed, "SELECT a FROM t") == [(5,)]
