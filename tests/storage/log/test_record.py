"""What a run of records adds up to: which epoch is open, how it closed, what a takeover cut off (rule 12)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import UnsupportedVersion
from storage.log.record import (
    CUTS_MAX,
    InvalidMetadata,
    Kind,
    LogState,
    Record,
    record_from_metadata,
    record_metadata,
    state_from_text,
    state_text,
)


def a_record(kind: Kind, epoch: int = 1, *, commits: tuple[int, int] | None = None, base: int = 0) -> Record:
    return Record(kind, epoch, f"claim-{epoch}", f"put-{kind}-{epoch}", f"m{epoch}", 10.0, 1, commits, base)


def state_of(*records: Record) -> LogState:
    return LogState().advance_all([a_record(Kind.IMPORT, 1, commits=(1, 1)), *records])


def test_only_opened_records_open_an_epoch_and_claims_are_nobody() -> None:
    state = state_of(a_record(Kind.TAKE, 2), a_record(Kind.CLAIM, 3))
    assert state.open is not None and state.open.epoch == 2 and not state.open.closed
    assert (state.epoch_max, state.claimed) == (3, 3)


@pytest.mark.parametrize(("kind", "released"), [(Kind.RELEASE, True), (Kind.HANDOVER, False)])
def test_a_release_or_handover_closes_its_own_epoch(kind: Kind, released: bool) -> None:
    state = state_of(a_record(Kind.TAKE, 2), a_record(Kind.CLAIM, 3), a_record(kind, 2))
    assert state.open is not None and state.open.closed and state.open.released is released
    other = state_of(a_record(Kind.TAKE, 2), a_record(kind, 1))
    assert other.open is not None and not other.open.closed


def test_rule_12_what_an_open_epoch_had_above_its_successors_base_is_lost() -> None:
    state = state_of(a_record(Kind.TAKE, 2), a_record(Kind.OPEN, 3, base=1), a_record(Kind.SEGMENT, 3, commits=(2, 5)))
    assert state.lost(epoch=2, commit=2) and not state.lost(epoch=2, commit=1)
    assert not state.lost(epoch=3, commit=5)


def test_rule_12_a_commit_that_an_agents_handover_lacks_is_lost() -> None:
    """The agent hands over what was journaled; commits that died with the process had higher numbers."""
    handed = a_record(Kind.HANDOVER, 2, commits=(2, 3))
    state = state_of(a_record(Kind.TAKE, 2), handed, a_record(Kind.TAKE, 3, base=3))
    state = state.advance(a_record(Kind.SEGMENT, 3, commits=(4, 9)))
    assert state.lost(epoch=2, commit=4) and not state.lost(epoch=2, commit=3)


def test_rule_12_nothing_of_a_released_epoch_is_lost() -> None:
    state = state_of(a_record(Kind.TAKE, 2), a_record(Kind.RELEASE, 2), a_record(Kind.TAKE, 3, base=1))
    assert state.cuts == ()


def test_a_close_ends_a_life_and_whoever_had_it_open() -> None:
    state = state_of(a_record(Kind.TAKE, 2), a_record(Kind.CLOSE, 3))
    assert state.open is None and state.life is Kind.CLOSE


@pytest.mark.parametrize("commits", [None, (3, 7)])
def test_a_record_and_a_state_survive_their_text(commits: tuple[int, int] | None) -> None:
    record = a_record(Kind.SEGMENT, 4, commits=commits, base=2)
    assert record_from_metadata(record_metadata(record)) == record
    state = state_of(a_record(Kind.TAKE, 2), a_record(Kind.OPEN, 3, base=1))
    assert state_from_text(state_text(state)) == state


def test_metadata_that_no_record_writes_is_refused() -> None:
    metadata = record_metadata(a_record(Kind.CLAIM))
    for key in metadata:
        with pytest.raises(InvalidMetadata):
            record_from_metadata({name: text for name, text in metadata.items() if name != key})
    with pytest.raises(InvalidMetadata):
        record_from_metadata({**metadata, "holdfast-format": "0"})
    with pytest.raises(InvalidMetadata):
        state_from_text("{}x")


def test_rule_12_a_takeover_that_the_state_no_longer_remembers_is_named_by_its_epoch() -> None:
    state = state_of(a_record(Kind.TAKE, 2))
    for epoch in range(3, 3 + CUTS_MAX):
        state = state.advance(a_record(Kind.TAKE, epoch, base=epoch))
    assert (len(state.cuts), state.forgotten) == (CUTS_MAX, 0)
    state = state.advance(a_record(Kind.TAKE, 3 + CUTS_MAX, base=99))
    assert (len(state.cuts), state.forgotten) == (CUTS_MAX, 3)


@pytest.mark.parametrize("kind", [Kind.CLOSE, Kind.IMPORT])
def test_rule_12_a_new_life_over_an_epoch_that_had_not_released_cuts_it_off(kind: Kind) -> None:
    state = state_of(a_record(Kind.TAKE, 2), a_record(Kind.SEGMENT, 2, commits=(2, 5)), a_record(kind, 3))
    assert state.lost(epoch=2, commit=6) and not state.lost(epoch=2, commit=5)


def test_a_records_metadata_spell_every_field_out() -> None:
    """Golden: other programs, and later versions, read these names."""
    record = Record(Kind.SEGMENT, 7, "aa", "bb", "disk", 10.0, 3, (4, 9), 2)
    assert record_metadata(record) == {
        "holdfast-format": "1",
        "holdfast-kind": "segment",
        "holdfast-epoch": "7",
        "holdfast-claim-id": "aa",
        "holdfast-put-id": "bb",
        "holdfast-machine": "disk",
        "holdfast-ttl-s": "10.0",
        "holdfast-gen": "3",
        "holdfast-base": "2",
        "holdfast-commits": "4-9",
    }


def test_a_record_of_a_newer_format_is_refused_by_its_version_whatever_else_it_says() -> None:
    with pytest.raises(UnsupportedVersion, match=r"format 2.*reads 1"):
        record_from_metadata({"holdfast-format": "2", "holdfast-kind": "merge"})


HEX_IDS = st.text("0123456789abcdef", min_size=32, max_size=32)
RECORDS = st.builds(
    Record,
    kind=st.sampled_from(Kind),
    epoch=st.integers(1, 1 << 40),
    claim_id=HEX_IDS,
    put_id=HEX_IDS,
    machine_id=HEX_IDS,
    ttl_s=st.floats(0, 1e6),
    gen=st.integers(0, 1 << 30),
    commits=st.none() | st.tuples(st.integers(1, 1 << 60), st.integers(1, 1 << 60)),
    base=st.integers(0, 1 << 60),
)


@given(RECORDS)
def test_any_record_survives_its_metadata(record: Record) -> None:
    metadata = record_metadata(record)
    assert record_from_metadata(metadata) == record
    assert all(text and text.isascii() and key == key.lower() for key, text in metadata.items())


@given(st.lists(RECORDS, max_size=40))
def test_the_state_of_any_log_survives_its_text_within_2_kb(records: list[Record]) -> None:
    state = LogState().advance_all(records)
    text = state_text(state)
    assert state_from_text(text) == state and text.isascii() and len(text) <= 2048 - 200


@given(st.lists(RECORDS, max_size=12), st.lists(RECORDS, max_size=12))
def test_a_state_is_a_fold(first: list[Record], rest: list[Record]) -> None:
    """So that a snapshot's state and the tail behind it say what the whole log says."""
    assert LogState().advance_all(first).advance_all(rest) == LogState().advance_all(first + rest)
