"""What a run came to, as a line, as JSON, as text."""

from __future__ import annotations

import pytest

from migrate.decision import Goal
from migrate.report import Ending, Report, UserLine, duration, line_document, percentile


def a_report(*lines: UserLine, total: int = 10) -> Report:
    return Report("run-1", Goal.ACTOR, total, list(lines))


def test_the_status_line_has_counts_pauses_rate_and_time_left() -> None:
    report = a_report(
        UserLine("a", "moved", 1.0, 0.5), UserLine("b", "moved", 1.0, 1.5), UserLine("c", "failed", 1.0, code="x")
    )
    assert (
        report.status(3.0)
        == "actor: 3/10 30.0%; failed 1; moved 2; pause p50 0.50 s p99 1.50 s; 1.0 users/s; ETA 0:00:07"
    )


def test_the_last_status_line_says_how_long_it_took() -> None:
    assert (
        a_report(UserLine("a", "moved", 1.0), total=1).status(65.0)
        == "actor: 1/1 100.0%; moved 1; 0.0 users/s; time 0:01:05"
    )
    assert a_report(total=0).status(0.0) == "actor: 0/0 100.0%; 0.0 users/s; time 0:00:00"


def test_the_document_groups_failures_by_their_cause() -> None:
    report = a_report(
        UserLine("a", "failed", 1.0, code="too_slow", message="m"),
        UserLine("b", "quarantined", 1.0, code="wal"),
        UserLine("c", "failed", 1.0, code="too_slow"),
    )
    report.ending = Ending.TOO_MANY_FAILURES
    document = report.document()
    assert document["causes"] == {"too_slow": ["a", "c"], "wal": ["b"]}
    assert document["ending"] == "too many failures" and document["counts"] == {"failed": 2, "quarantined": 1}
    assert "failed a: m" in report.text() and report.failures == 2


def test_a_long_list_of_failures_is_cut_in_the_text_and_whole_in_the_document() -> None:
    report = a_report(*(UserLine(f"u{n}", "failed", 0.0, code="c") for n in range(50)), total=50)
    assert "and 30 more" in report.text() and len(report.document()["lines"]) == 50  # type: ignore[arg-type]


def test_a_line_leaves_out_what_is_empty() -> None:
    assert line_document(UserLine("a", "moved", 0.25, 0.0, 7)) == {
        "user": "a",
        "result": "moved",
        "seconds": 0.25,
        "pause_s": 0.0,
        "bytes": 7,
    }


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([3.0], 0.5, 3.0), ([3.0], 0.99, 3.0), ([2.0, 1.0, 3.0, 4.0], 0.5, 2.0)],
)
def test_percentiles(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(values, share) == expected


def test_the_99th_percentile_of_a_hundred_is_the_last_but_one() -> None:
    assert percentile([float(n) for n in range(1, 101)], 0.99) == 99.0


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
