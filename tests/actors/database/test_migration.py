"""Which migrations a database needs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.database.migration import (
    Applied,
    ChecksumChanged,
    Migration,
    Newer,
    ToApply,
    plan_migrations,
    read_migrations,
)


def migrations(count: int) -> tuple[Migration, ...]:
    return tuple(Migration(number, f"step_{number}", f"CREATE TABLE t{number}(a)") for number in range(1, count + 1))


def ledger(done: tuple[Migration, ...]) -> list[Applied]:
    return [Applied(each.number, each.name, each.checksum) for each in done]


@given(st.integers(0, 6), st.integers(0, 6))
@settings(deadline=None)
def test_what_the_ledger_lacks_is_applied_in_order(done: int, more: int) -> None:
    available = migrations(done + more)
    assert plan_migrations(ledger(available[:done]), available) == ToApply(available[done:])


def test_a_changed_file_and_an_unknown_entry_are_told_apart() -> None:
    available = migrations(2)
    changed = Applied(1, "step_1", "0" * 64)
    assert plan_migrations([changed], available) == ChecksumChanged(available[0], changed)
    newer = ledger(migrations(3))
    assert plan_migrations(newer, available) == Newer(newer[2])


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["0001_a.sql", "0003_b.sql"], "0003_b, expected number 2"),
        (["0001_a.sql", "0001_b.sql"], "expected number 2"),
        (["1_a.sql"], "expected a name like"),
        (["0001_A.sql"], "expected a name like"),
    ],
)
def test_odd_file_names_are_refused(names: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_migrations(dict.fromkeys(names, ""))


def test_files_become_migrations_by_number() -> None:
    found = read_migrations({"0002_more.sql": "B", "0001_initial.sql": "A"})
    assert [(each.number, each.name, each.sql, each.title) for each in found] == [
        (1, "initial", "A", "0001_initial"),
        (2, "more", "B", "0002_more"),
    ]
