"""Findings as lines."""

from __future__ import annotations

from holdfast.doctor.check import Finding, summary


def test_a_finding_is_one_line() -> None:
    assert Finding("port", True, "free").line() == "ok      port              free"
    assert Finding("port", False, "taken").line() == "failed  port              taken"


def test_the_summary_counts_what_failed() -> None:
    good, bad = Finding("a", True, ""), Finding("b", False, "")
    assert summary([good, good]) == "all 2 checks passed"
    assert summary([good, bad]) == "1 of 2 checks failed"
