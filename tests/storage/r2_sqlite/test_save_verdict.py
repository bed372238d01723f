"""What a look at the file says about a save: the pure decision, and that the ring argument holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from storage.r2_sqlite.file_state import RING_LENGTH_MAX, FileState
from storage.r2_sqlite.rules import FileRules
from storage.r2_sqlite.save_verdict import Verdict, Version, judge_save

RULES = FileRules()


def a_version(*ring: str, etag: str | None = "e1") -> Version:
    return Version(etag, FileState(ring=tuple(ring)))


def test_the_base_still_there_means_send_the_same_again() -> None:
    base = a_version("a")
    assert judge_save(base, base, "w", RULES) is Verdict.SEND_AGAIN


def test_the_own_id_means_saved_even_under_the_bases_etag() -> None:
    assert judge_save(a_version("a", "w", "b", etag="e2"), a_version("a"), "w", RULES) is Verdict.SAVED


def test_the_bases_id_without_the_own_means_run_again() -> None:
    assert judge_save(a_version("a", "b", etag="e2"), a_version("a"), "w", RULES) is Verdict.RUN_AGAIN


def test_without_the_bases_id_nobody_knows() -> None:
    assert judge_save(a_version("b", etag="e2"), a_version("a"), "w", RULES) is Verdict.UNKNOWN
    assert judge_save(a_version(etag="e2"), a_version("a"), "w", RULES) is Verdict.UNKNOWN


def test_upon_a_file_without_ids_a_ring_with_room_has_forgotten_nothing() -> None:
    almost = [str(number) for number in range(RING_LENGTH_MAX - 1)]
    for base in (a_version(), a_version(etag=None)):
        assert judge_save(a_version(*almost, etag="e2"), base, "w", RULES) is Verdict.RUN_AGAIN
        assert judge_save(a_version(*almost, "x", etag="e2"), base, "w", RULES) is Verdict.UNKNOWN


@given(
    before=st.integers(0, RING_LENGTH_MAX + 3),
    landed=st.booleans(),
    after=st.integers(0, 2 * RING_LENGTH_MAX),
)
def test_the_verdict_is_never_wrong_about_what_happened(before: int, landed: bool, after: int) -> None:
    """Play the saves on a real ring: run again only if it did not land, saved only if it did."""
    state = FileState()
    for number in range(before):
        state = state.remember(f"before-{number}", "n")
    base = Version("e-base", state)
    if landed:
        state = state.remember("w", "n")
    for number in range(after):
        state = state.remember(f"after-{number}", "n")
    found = Version("e-base" if not landed and not after else "e-new", state)
    verdict = judge_save(found, base, "w", RULES)
    if verdict is Verdict.SAVED:
        assert landed
    elif verdict is Verdict.UNKNOWN:
        assert after >= RING_LENGTH_MAX - 1
    else:
        assert not landed
