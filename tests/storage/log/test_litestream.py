"""Names and timestamps as Litestream spells them."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.log.litestream import TIMESTAMP_KEY, file_layout_path, litestream_timestamp

YEAR_10000_MS = 253_402_300_800_000


@pytest.mark.parametrize(
    ("timestamp_ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        (1_700_000_000_120, "2023-11-14T22:13:20.12Z"),
        (1_700_000_000_100, "2023-11-14T22:13:20.1Z"),
        (1_700_000_000_001, "2023-11-14T22:13:20.001Z"),
        (1_700_000_000_000, "2023-11-14T22:13:20Z"),
    ],
)
def test_timestamps_have_no_trailing_zeros(timestamp_ms: int, text: str) -> None:
    assert litestream_timestamp(timestamp_ms) == text


@given(st.integers(0, YEAR_10000_MS - 1))
def test_any_timestamp_reads_back_to_the_millisecond(timestamp_ms: int) -> None:
    moment = datetime.fromisoformat(litestream_timestamp(timestamp_ms))
    assert round(moment.timestamp() * 1000) == timestamp_ms


def test_the_file_layout_names_levels_in_decimal() -> None:
    assert file_layout_path(0, 7, 7) == "ltx/0/0000000000000007-0000000000000007.ltx"
    assert file_layout_path(9, 1, 255) == "ltx/9/0000000000000001-00000000000000ff.ltx"
    assert TIMESTAMP_KEY == "litestream-timestamp"
