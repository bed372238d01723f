"""`holdfast config show`."""

from __future__ import annotations

from tests.holdfast.cli import holdfast


def test_every_setting_is_shown_with_value_and_origin() -> None:
    outcome = holdfast("config", "show", environ={"HOLDFAST_PORT": "9000"})
    rows = {line.split()[0]: line.split()[1:] for line in outcome.out.splitlines()}
    assert rows["HOLDFAST_PORT"] == ["9000", "env"]
    assert rows["HOLDFAST_HOST"] == ["127.0.0.1", "default"]
    assert rows["APP_ENV"] == ["dev", "default"]


def test_only_changed_settings_are_shown_where_asked_for() -> None:
    outcome = holdfast("config", "show", "--changed", environ={"HOLDFAST_PORT": "9000"})
    assert [line.split()[0] for line in outcome.out.splitlines()[2:]] == ["HOLDFAST_PORT"]


def test_a_wrong_value_is_one_line_and_exit_code_2() -> None:
    outcome = holdfast("config", "show", environ={"APP_ENV": "live"})
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "holdfast: APP_ENV is 'live': expected one of dev, staging, prod\n"


def test_unknown_variables_are_warned_about() -> None:
    outcome = holdfast("config", "show", environ={"HOLDFAST_PROT": "1"})
    assert outcome.code == 0
    assert outcome.err == (
        "holdfast: warning: HOLDFAST_PROT is no setting and was ignored; did you mean HOLDFAST_PORT?\n"
    )
