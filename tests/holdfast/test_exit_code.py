"""Exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.errors import HostFull, SqlError
from gateway.server import AddressInUse
from holdfast.exit_code import MEANINGS, Busy, ExitCode, ServiceUnreachable, exit_code_for
from holdfast.setting import SettingError
from storage.errors import CorruptSegment, HoldfastError, InvalidRequest, LogGap, Unavailable


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingError("x"), ExitCode.USAGE),
        (InvalidRequest("x"), ExitCode.USAGE),
        (SqlError("x"), ExitCode.FAILED),
        (HostFull("x"), ExitCode.RETRY),
        (Unavailable("x"), ExitCode.RETRY),
        (ServiceUnreachable("x"), ExitCode.RETRY),
        (CorruptSegment("x"), ExitCode.DAMAGED),
        (LogGap("x"), ExitCode.DAMAGED),
        (Busy("x"), ExitCode.BUSY),
        (AddressInUse("x"), ExitCode.BUSY),
    ],
)
def test_an_error_leads_to_its_code(error: HoldfastError, code: ExitCode) -> None:
    assert exit_code_for(error) is code


def test_every_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ExitCode)


def test_the_documentation_lists_them() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for code, meaning in MEANINGS.items():
        assert f"| {code.value} | {meaning} |" in page
