"""Errors survive their way over a link, also those that this side does not know."""

from __future__ import annotations

import pytest

import actors.errors
from actors.errors import HostFull, Moved
from actors.hosting.frame import ErrorHead
from actors.hosting.wire_error import DETAILS_BYTES_MAX, MESSAGE_CHARACTERS_MAX, error_from_head, error_to_head
from storage.errors import CorruptSegment, HoldfastError, InvalidRequest

KINDS = [kind for kind in vars(actors.errors).values() if isinstance(kind, type) and issubclass(kind, HoldfastError)]


@pytest.mark.parametrize("kind", [*KINDS, CorruptSegment, InvalidRequest])
def test_every_error_of_the_tree_arrives_as_itself(kind: type[HoldfastError]) -> None:
    again = error_from_head(error_to_head(kind("why", retry_after_s=2.0, details={"row": 3})))
    assert (type(again), str(again), again.retry_after_s, again.details) == (kind, "why", 2.0, {"row": 3})
    assert again.retryable == kind.retryable


def test_an_unknown_code_keeps_its_code() -> None:
    again = error_from_head(ErrorHead("of_next_year", "m", True, None, {}))
    assert (type(again), again.code, again.retryable) == (HoldfastError, "of_next_year", True)
    assert HoldfastError("m").code == "internal"


def test_a_caller_that_distinguishes_by_class_still_can() -> None:
    with pytest.raises(Moved):
        raise error_from_head(error_to_head(Moved("elsewhere")))
    assert isinstance(error_from_head(error_to_head(HostFull("full"))), actors.errors.Overloaded)


def test_what_is_too_long_is_cut_and_what_does_not_encode_becomes_text() -> None:
    head = error_to_head(HoldfastError("x" * 10_000, details={"big": "y" * (DETAILS_BYTES_MAX + 1)}))
    assert len(head.message) == MESSAGE_CHARACTERS_MAX and "too large" in head.details["details"]
    assert error_to_head(HoldfastError("m", details={"what": object})).details["what"].startswith("<class")
