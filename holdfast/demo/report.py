"""The demo's table, from what was measured."""

from __future__ import annotations

from holdfast.demo.tour import Outcome
from holdfast.demo.writers import percentile_ms
from holdfast.progress import format_bytes
from holdfast.table import format_table


def demo_report(outcome: Outcome) -> str:
    """What was measured, and whether everything acknowledged is there."""
    tally = outcome.tally
    rows = [
        ("service ready after", f"{outcome.started_s:.1f} s"),
        ("writes acknowledged", f"{outcome.acknowledged}"),
        ("per second", f"{outcome.acknowledged / outcome.load_s:.0f}"),
        (
            "latency p50 / p99",
            f"{percentile_ms(tally.latencies_s, 50):.1f} / {percentile_ms(tally.latencies_s, 99):.1f} ms",
        ),
        ("host killed", outcome.killed),
        ("sent again after it", f"{tally.repeated}"),
        ("longest wait for an answer", f"{tally.longest_wait_s:.2f} s"),
        ("slots and snapshots shipped", f"{outcome.bucket_objects}"),
        ("export", f"{outcome.exported_rows} clips, {format_bytes(outcome.exported_bytes)}, integrity ok"),
    ]
    rows += [(f"{user}'s acknowledged writes", str(verdict)) for user, verdict in outcome.verdicts.items()]
    return format_table(("measured", ""), rows)
