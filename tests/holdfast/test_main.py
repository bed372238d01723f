"""The program as it is called."""

from __future__ import annotations

import pytest

from holdfast.__main__ import build_parser


def test_the_version_is_a_result_and_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        build_parser().parse_args(["--version"])
    said = capsys.readouterr()
    assert (ending.value.code or 0, said.err) == (0, "")
    assert said.out.startswith("holdfast ")
