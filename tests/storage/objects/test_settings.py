"""Settings that fit no store are refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage.errors import InvalidRequest
from storage.objects.settings import S3Settings, StoreSettings


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"bucket": ""}, "bucket"),
        ({"bucket": "a/b"}, "bucket"),
        ({"endpoint": "127.0.0.1:9000"}, "endpoint"),
        ({"threads_max": 0}, "threads_max"),
        ({"attempts_max": 0}, "attempts_max"),
        ({"read_timeout_s": -1.0}, "read_timeout_s"),
        ({"part_bytes": 1 << 20}, "part_bytes"),
        ({"copy_part_bytes": 6 << 30}, "copy_part_bytes"),
        ({"copy_bytes_max": 6 << 30}, "copy_bytes_max"),
    ],
)
def test_an_s3_setting_out_of_bounds_is_named(values: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{named} is"):
        S3Settings(**({"bucket": "b"} | values)).validate()


def test_a_kind_needs_what_it_needs() -> None:
    with pytest.raises(InvalidRequest, match="root is missing"):
        StoreSettings(kind="local").validate()
    with pytest.raises(InvalidRequest, match="s3 is missing"):
        StoreSettings(kind="s3", root=Path("x")).validate()
    with pytest.raises(InvalidRequest, match="bucket is ''"):
        StoreSettings(kind="s3", s3=S3Settings(bucket="")).validate()
    with pytest.raises(InvalidRequest, match="kind is 'ftp'"):
        StoreSettings(kind="ftp", root=Path("x")).validate()  # type: ignore[arg-type]
