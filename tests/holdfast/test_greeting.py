"""What serve prints when it is ready. That the lines work is shown in tests/system/test_serve.py."""

from __future__ import annotations

import shlex

from holdfast.greeting import curl_lines, greeting
from holdfast.service_process import READY
from holdfast.settings import load_settings


def test_the_first_line_is_what_programs_wait_for() -> None:
    lines = greeting(load_settings({}), "http://127.0.0.1:8700")
    match = READY.match(lines[0])
    assert match is not None
    assert match[1] == "http://127.0.0.1:8700"


def test_there_are_three_commands_and_they_name_the_token_only_where_one_is_set() -> None:
    open_lines = curl_lines("http://h:1", guarded=False)
    guarded = curl_lines("http://h:1", guarded=True)
    assert len(open_lines) == len(guarded) == 3
    assert all(shlex.split(line)[0] == "curl" for line in open_lines)
    assert not any("Authorization" in line for line in open_lines)
    assert all('"Authorization: Bearer $HOLDFAST_TOKEN"' in line for line in guarded)


def test_the_store_is_named() -> None:
    settings = load_settings({"HOLDFAST_BUCKET": "b", "HOLDFAST_S3_ENDPOINT": "http://127.0.0.1:1"})
    assert "bucket b at http://127.0.0.1:1" in greeting(settings, "http://h:1")[1]
