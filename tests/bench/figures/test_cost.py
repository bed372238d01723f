"""An hour's operations at the bucket, counted on the real actor."""

from __future__ import annotations

from bench.figures.cost import CLASS_A_DOLLARS, CLASS_B_DOLLARS, CostFigure, Hour, measure_costs


def test_longer_intervals_cost_fewer_writes_to_the_bucket_and_all_writes_arrive() -> None:
    figures = {figure.way: figure for figure in measure_costs(Hour(requests=150), (5.0, 60.0))}
    often, seldom = figures["flush after 5 s"], figures["flush after 60 s"]
    each = figures["one PUT per write"]
    assert 0 < seldom.class_a < often.class_a <= each.class_a == each.writes
    assert often.writes == seldom.writes and often.reads + often.writes == 150
    assert seldom.bytes_written > 0
    assert figures["download, query, upload (256 KiB file)"].bytes_read > 100 * often.bytes_written


def test_dollars_are_operations_at_their_prices() -> None:
    figure = CostFigure("a way", reads=1, writes=500, class_a=1000, class_b=2000, bytes_written=10, bytes_read=0)
    assert figure.dollars == 1000 * CLASS_A_DOLLARS + 2000 * CLASS_B_DOLLARS
    assert figure.to_json()["class_a_per_1000_writes"] == 2000
    assert figure.to_json()["bytes_per_1000_writes"] == 20
