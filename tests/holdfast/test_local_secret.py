"""Secrets of one machine."""

from __future__ import annotations

import stat
from pathlib import Path

from holdfast.local_secret import SECRET_BYTES, local_secret


def test_a_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = local_secret(tmp_path, "links")
    assert len(first) == SECRET_BYTES
    assert local_secret(tmp_path, "links") == first
    assert local_secret(tmp_path, "hosts") != first
    assert stat.S_IMODE((tmp_path / "secrets" / "links").stat().st_mode) == 0o600


def test_one_that_a_crash_cut_short_is_made_anew(tmp_path: Path) -> None:
    local_secret(tmp_path, "links")
    (tmp_path / "secrets" / "links").write_bytes(b"")
    assert len(local_secret(tmp_path, "links")) == SECRET_BYTES
