"""Keys, prefixes, metadata and conditions that no store takes (what each store does with good ones: conformance)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import InvalidRequest
from storage.objects.key import (
    check_conditions,
    check_key,
    check_limit,
    check_metadata,
    check_prefix,
    check_start_after,
    key_problem,
)


@pytest.mark.parametrize("key", ["a", "dev/users/1/a.b", "...", ".a", "ä/日本", "a" * 255, "/".join(["a" * 127] * 8)])
def test_names_of_files_are_keys(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "empty"),
        ("/a", "the part ''"),
        ("a/../b", "the part '..'"),
        ("a/./b", "the part '.'"),
        ("a\\b", "backslash"),
        ("a\x7f", "control character"),
        ("\ud800", "not valid Unicode"),
        ("ä" * 128, "longer than 255 bytes"),
        ("a/" * 512 + "a", "1025 bytes"),
        (".holdfast/locks", "reserved"),
        ("a/.holdfast-meta.b", "reserved"),
    ],
)
def test_a_bad_key_is_refused_saying_why(key: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_key(key)
    assert problem in caught.value.message


@given(st.text(max_size=50))
def test_a_key_never_leaves_its_folder(text: str) -> None:
    if key_problem(text) is None:
        assert not set(text.split("/")) & {"", ".", ".."}
        assert "\x00" not in text
        assert check_prefix(text) == text


def test_a_prefix_may_end_in_the_middle_of_a_name() -> None:
    for prefix in ("", "a", "a/", "a/.", "a/..", ".hold"):
        assert check_prefix(prefix) == prefix
    for prefix in ("/", "a//b", "../a", "./a", ".holdfast/", "a\n"):
        with pytest.raises(InvalidRequest):
            check_prefix(prefix)


def test_start_after_and_limit_have_bounds() -> None:
    assert check_start_after("a//../b") == "a//../b"
    with pytest.raises(InvalidRequest):
        check_start_after("a\x00")
    assert (check_limit(1), check_limit(1000)) == (1, 1000)


def test_metadata_is_copied_and_bounded() -> None:
    given_metadata = {"k": "v"}
    checked = check_metadata(given_metadata)
    given_metadata["k"] = "changed"
    assert checked == {"k": "v"}
    assert check_metadata(None) == {}
    assert check_metadata({"k": "x" * 2047})
    with pytest.raises(InvalidRequest, match="2049 bytes"):
        check_metadata({"k": "x" * 2048})


@pytest.mark.parametrize("if_match", ["", "*", '"abc"'])
def test_an_if_match_that_is_no_etag_is_refused(if_match: str) -> None:
    with pytest.raises(InvalidRequest):
        check_conditions(None, if_match)
    with pytest.raises(InvalidRequest):
        check_conditions("other", None)
