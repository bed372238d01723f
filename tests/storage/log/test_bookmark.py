"""Positions as text (rule 12): opaque, ordered, refused when nobody wrote them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.log.bookmark import Bookmark, InvalidBookmark

BOOKMARKS = st.builds(
    Bookmark, st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 32) - 1)
)


def test_rule_12_a_bookmark_is_epoch_commit_and_generation() -> None:
    assert str(Bookmark(3, 17, 1)) == "00000003-0000000000000011-00000001"


@given(BOOKMARKS)
def test_a_bookmark_survives_its_text(bookmark: Bookmark) -> None:
    assert Bookmark.parse(str(bookmark)) == bookmark


@given(BOOKMARKS, BOOKMARKS)
def test_the_order_of_texts_is_the_order_of_bookmarks(one: Bookmark, other: Bookmark) -> None:
    assert (str(one) < str(other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "00000003-0000000000000011",
        "00000003-0000000000000011-00000001\n",
        " 00000003-0000000000000011-00000001",
        "0000000G-0000000000000011-00000001",
        "0000000A-0000000000000011-00000001",
        "-0000003-0000000000000011-00000001",
        "٣0000003-0000000000000011-00000001",
        "x" * 10_000,
    ],
)
def test_any_other_text_is_refused_briefly(text: str) -> None:
    with pytest.raises(InvalidBookmark) as refused:
        Bookmark.parse(text)
    assert len(refused.value.message) < 300 and refused.value.code == "invalid_bookmark"
