"""Histogram of latencies: bounded error, merging, JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load.histogram import BUCKETS, VALUE_MAX, Histogram, bucket_of, upper_edge

values = st.integers(0, VALUE_MAX)


def a_histogram(recorded: list[int]) -> Histogram:
    histogram = Histogram()
    for value in recorded:
        histogram.record(value)
    return histogram


@given(values)
def test_a_bucket_is_at_most_a_128th_of_its_values_wide(value: int) -> None:
    bucket = bucket_of(value)
    lowest = upper_edge(bucket - 1) + 1 if bucket else 0
    assert lowest <= value <= upper_edge(bucket)
    assert (upper_edge(bucket) - lowest) * 128 <= lowest
    assert bucket < BUCKETS


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255, 256, 257, 511, 512, 1 << 20, (1 << 20) - 1, VALUE_MAX])
def test_buckets_follow_each_other_without_gap(value: int) -> None:
    assert bucket_of(upper_edge(bucket_of(value))) == bucket_of(value)
    if value < VALUE_MAX:
        assert bucket_of(upper_edge(bucket_of(value)) + 1) == bucket_of(value) + 1


@given(st.lists(values, min_size=1), st.floats(0, 100))
def test_a_percentile_is_the_exact_one_or_less_than_one_percent_above(recorded: list[int], percent: float) -> None:
    rank = max(1, int(-(-len(recorded) * percent // 100)))
    exact = sorted(recorded)[rank - 1]
    found = a_histogram(recorded).percentile_ns(percent)
    assert exact <= found <= exact + exact / 127 + 1


@given(st.lists(values), st.lists(values))
def test_merged_histograms_are_the_histogram_of_everything(first: list[int], second: list[int]) -> None:
    merged = a_histogram(first)
    merged.merge(a_histogram(second))
    assert merged == a_histogram(first + second)


@given(st.lists(values))
def test_a_histogram_survives_json(recorded: list[int]) -> None:
    histogram = a_histogram(recorded)
    assert Histogram.from_json(json.loads(json.dumps(histogram.to_json()))) == histogram


def test_json_of_another_resolution_is_refused() -> None:
    with pytest.raises(ValueError, match="sub-bucket"):
        Histogram.from_json({**Histogram().to_json(), "sub_bits": 3})


def test_values_beyond_the_range_count_at_its_ends() -> None:
    histogram = a_histogram([-5, VALUE_MAX + 1])
    assert (histogram.percentile_ns(50), histogram.percentile_ns(100)) == (0, VALUE_MAX)


def test_nothing_recorded_has_percentile_and_mean_zero() -> None:
    assert (Histogram().percentile_ns(99), Histogram().mean_ns()) == (0, 0.0)
