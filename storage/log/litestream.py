"""What Litestream expects around our segments: its metadata key and its two layouts. Pure.

In a bucket (S3, R2) Litestream names a level by four hex digits, `{log}/0009/…`, which is the layout of our own keys.
Its file client names it in decimal below `ltx`, `DIR/ltx/9/…`: `storage.log.export` writes that one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

TIMESTAMP_KEY = "litestream-timestamp"
"""Object metadata that Litestream reads for restores to a time; without it, the object's last change counts."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def litestream_timestamp(timestamp_ms: int) -> str:
    """A segment's timestamp (Unix time in ms, up to the year 9999) as RFC 3339 in UTC, without trailing zeros."""
    moment = _EPOCH + timedelta(milliseconds=timestamp_ms)
    fraction = f".{timestamp_ms % 1000:03d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def file_layout_path(level: int, first: int, last: int) -> str:
    """Path of a segment in Litestream's file layout, below the replica's directory."""
    return f"ltx/{level:d}/{first:016x}-{last:016x}.ltx"
