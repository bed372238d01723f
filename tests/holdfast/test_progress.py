"""The progress line."""

from __future__ import annotations

import io

import pytest

from holdfast.progress import Progress, format_bytes


def test_it_is_redrawn_at_most_ten_times_a_second_and_at_the_end() -> None:
    stream, now = io.StringIO(), [0.0]
    with Progress("export", stream=stream, shown=True, now=lambda: now[0], total=4096) as progress:
        for _ in range(40):
            progress.advance(100)
            now[0] += 0.01
        progress.advance(96)
    drawn = stream.getvalue().split("\r")[1:]
    assert len(drawn) <= 6
    assert drawn[-1] == "\x1b[Kexport: 4.0 KiB of 4.0 KiB (100 %)\n"


def test_it_is_silent_unless_shown() -> None:
    stream = io.StringIO()
    with Progress("export", stream=stream, shown=False, now=lambda: 0.0) as progress:
        progress.advance(100)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (1 << 50, "1024.0 TiB")]
)
def test_bytes_are_told_in_the_largest_fitting_unit(count: int, text: str) -> None:
    assert format_bytes(count) == text
