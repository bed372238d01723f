"""The clock over a statement."""

from __future__ import annotations

import pytest

from actors.database.deadline import BudgetExceeded, Deadline


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def test_a_deadline_counts_from_the_first_look_of_each_statement() -> None:
    clock = Clock()
    deadline = Deadline(5.0, clock)
    for _ in range(2):
        deadline.begin_alone(None)
        clock.at += 50
        assert not deadline()
        clock.at += 4.9
        assert not deadline()
    clock.at += 0.1
    assert deadline()
    assert deadline.take() == "deadline"
    assert deadline.take() is None


def test_a_budget_ends_a_statement_before_its_deadline() -> None:
    clock = Clock()
    deadline = Deadline(5.0, clock)
    deadline.begin_alone(0.02)
    assert not deadline()
    clock.at += 0.03
    assert deadline()
    assert deadline.take() == "budget"


def test_a_batchs_budget_runs_over_all_its_statements() -> None:
    clock = Clock()
    deadline = Deadline(5.0, clock)
    deadline.begin_batch(0.02)
    deadline.begin_statement()
    clock.at += 0.03
    with pytest.raises(BudgetExceeded):
        deadline.begin_statement()


def test_the_deadline_wins_where_both_have_passed() -> None:
    clock = Clock()
    deadline = Deadline(5.0, clock)
    deadline.begin_batch(10.0)
    deadline.begin_statement()
    assert not deadline()
    clock.at += 20
    assert deadline()
    assert deadline.take() == "deadline"


def test_the_systems_work_has_no_end_and_a_stop_ends_all() -> None:
    clock = Clock()
    deadline = Deadline(5.0, clock)
    deadline.begin_unbounded()
    clock.at += 1e6
    assert not deadline()
    deadline.stop()
    assert deadline()
    deadline.begin_alone(None)
    assert deadline()
