"""Checks of the object store."""

from __future__ import annotations

from pathlib import Path

from holdfast.doctor.bucket import check_bucket
from holdfast.settings import load_settings


async def test_the_local_store_passes(tmp_path: Path) -> None:
    findings = await check_bucket(load_settings({"HOLDFAST_DATA_DIR": str(tmp_path)}))
    assert [finding.holds for finding in findings] == [True, True]


async def test_a_store_out_of_reach_is_one_finding(tmp_path: Path) -> None:
    findings = await check_bucket(load_settings({"HOLDFAST_DATA_DIR": str(tmp_path / "none")}))
    assert [finding.holds for finding in findings] == [False]
