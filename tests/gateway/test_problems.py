"""One table from error to answer."""

from __future__ import annotations

import importlib
import pkgutil

import msgspec
import pytest

import actors
import gateway
import storage
from gateway.problems import TABLE, problem, problem_of
from storage.errors import HoldfastError

MODULES_WITH_ERRORS = (".errors", ".address", ".bookmark", ".presign", ".position", ".probe", ".part", ".media_type")
NEVER_SENT = {"bind_refused": "the service did not start", "local_conflict": "no service syncs a local copy"}


def every_error() -> list[type[HoldfastError]]:
    """Every class of error that this floor and the ones below define where others are to see it."""
    modules = set()
    for package in (storage, actors, gateway):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if module.name.endswith(MODULES_WITH_ERRORS):
                modules.add(importlib.import_module(module.name).__name__)
    found, waiting = [], [HoldfastError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if kind.__module__ in modules and kind.code not in NEVER_SENT:
            found.append(kind)
    return sorted(set(found), key=lambda kind: kind.__qualname__)


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_its_row_and_retryable_ones_can_be_retried(kind: type[HoldfastError]) -> None:
    row = TABLE[kind.code]
    assert 400 <= row.status < 600
    if kind.retryable:
        assert row.status in (408, 409, 429, 503)


def test_problem_carries_everything_a_program_needs() -> None:
    error = HoldfastError("slot 7: checksum", details={"slot": 7, "key": object})
    error.code = "corrupt_segment"
    answer = problem_of(error, "r-1")
    body = msgspec.json.decode(answer.body)
    assert body.pop("details")["slot"] == 7
    assert body == {
        "type": "urn:holdfast:problem:corrupt_segment",
        "title": "The log is corrupt",
        "status": 500,
        "code": "corrupt_segment",
        "detail": "slot 7: checksum",
        "retryable": False,
        "request_id": "r-1",
    }
    assert dict(answer.headers)[b"content-type"] == b"application/problem+json"
    assert b"retry-after" not in dict(answer.headers)


@pytest.mark.parametrize(("asked", "header"), [(None, b"1"), (0.2, b"1"), (2.01, b"3"), (60, b"60")])
def test_retryable_problems_say_when(asked: float | None, header: bytes) -> None:
    answer = problem("overloaded", "full", "r", retryable=True, retry_after_s=asked)
    assert dict(answer.headers)[b"retry-after"] == header


@pytest.mark.parametrize(("retryable", "status"), [(True, 503), (False, 500)])
def test_code_of_a_newer_host_still_gets_an_answer(retryable: bool, status: int) -> None:
    answer = problem("something_new", "?", "r", retryable=retryable)
    assert (answer.status, msgspec.json.decode(answer.body)["code"]) == (status, "something_new")


def test_unauthorized_says_how_to_authenticate() -> None:
    assert dict(problem("unauthorized", "?", "r").headers)[b"www-authenticate"].startswith(b"Bearer")
