"""Checks of the machine."""

from __future__ import annotations

import pytest

from holdfast.doctor import machine


def test_this_machine_passes() -> None:
    for check in (machine.check_python, machine.check_packages, machine.check_clock):
        finding = check()
        assert finding.holds, finding.line()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PACKAGES", ("apsw", "no-such-package"))
    finding = machine.check_packages()
    assert not finding.holds
    assert "no-such-package" in finding.text
