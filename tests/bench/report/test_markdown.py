"""The report says what was measured, against whom, under which conditions, and what is missing."""

from __future__ import annotations

from bench.report.markdown import summary, write_report
from tests.bench.a_result import OFFERED, OURS, PEER, READ, a_measurement, a_result


def test_a_report_has_command_conditions_tables_ratios_and_pictures() -> None:
    text = write_report(a_result(), ["throughput-1"])
    for piece in ("`holdfast bench`", "0123456789ab", "apsw 3.54.1", "workerd 1", "![throughput-1](throughput-1.png)"):
        assert piece in text
    row = next(line for line in text.splitlines() if line.startswith(f"| {PEER} |"))
    assert "3.00x (3.00–3.00)" in row and "0.25x (0.25–0.25)" in row
    assert "100 (100–100)" in row


def test_who_was_left_out_is_named_with_the_reason() -> None:
    assert "- FastAPI + PostgreSQL: not installed" in write_report(a_result(), [])


def test_failures_are_never_hidden() -> None:
    results = a_result()
    found = a_measurement(READ, OURS, 2, requests=10, latency_ms=1, failures=4)
    results.sessions["Shared placement and peers"].append(found)
    assert "Failures, holdfast (shared), round 3: {'503': 4}" in write_report(results, [])


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    tables = [block for block in write_report(a_result(), []).split("\n\n") if block.startswith("|")]
    assert tables
    for table in tables:
        assert len({line.replace("\\|", "").count("|") for line in table.splitlines() if line.startswith("|")}) == 1


def test_the_summary_has_every_scenario_and_contender() -> None:
    lines = summary(a_result()).splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [READ, OFFERED]
    assert sum(PEER in line for line in lines) == 2
