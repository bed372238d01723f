"""`holdfast sql`."""

from __future__ import annotations

import json

import pytest

from tests.holdfast.cli import answers, holdfast

RESULT = {"columns": ["id", "name"], "rows": [[1, "final"], [20, None]], "changes": 0, "last_insert_rowid": 0}


def test_rows_are_printed_as_a_table() -> None:
    outcome = holdfast("sql", "anna", "select 1", service=answers(json={"results": [RESULT]}))
    assert outcome.code == 0
    assert outcome.out.splitlines() == ["id  name", "--  -----", " 1  final", "20  NULL"]


def test_the_request_goes_to_the_selected_profile_with_token_and_parameters() -> None:
    outcome = holdfast(
        *("sql", "anna@x.org", "select ?", "--params", "[7]", "--durability", "r2", "--url", "http://there:1/"),
        service=answers(json={"results": []}),
        environ={"HOLDFAST_TOKEN": "t0ken"},
    )
    (request,) = outcome.requests
    assert str(request.url) == "http://there:1/v1/users/anna@x.org/sql"
    assert request.headers["authorization"] == "Bearer t0ken"
    assert request.headers["holdfast-durability"] == "r2"
    assert json.loads(request.content) == {"sql": "select ?", "params": [7]}


def test_a_profile_is_named_in_the_path() -> None:
    outcome = holdfast("sql", "anna", "x", "--profile", "00ff00ff", service=answers(json={"results": []}))
    assert outcome.requests[0].url.path == "/v1/users/anna/profiles/00ff00ff/sql"


def test_changes_are_told() -> None:
    result = {"columns": [], "rows": [], "changes": 3, "last_insert_rowid": 9}
    outcome = holdfast("sql", "anna", "x", service=answers(json={"results": [result]}))
    assert outcome.out == "3 changed, last rowid 9\n"


def test_json_output_is_the_services_answer() -> None:
    answer = {"results": [RESULT], "bookmark": "b"}
    outcome = holdfast("sql", "anna", "x", "--json", service=answers(json=answer))
    assert json.loads(outcome.out) == answer


@pytest.mark.parametrize("text", ["{", "7", '"x"'])
def test_parameters_that_are_no_list_or_object_are_wrong_usage(text: str) -> None:
    outcome = holdfast("sql", "anna", "x", "--params", text, service=answers(json={}))
    assert (outcome.code, outcome.requests) == (2, [])
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("status", "code", "retryable", "exit_code"),
    [
        (400, "sql_error", False, 1),
        (503, "host_full", True, 3),
        (500, "corrupt_segment", False, 4),
    ],
)
def test_a_problem_of_the_service_is_one_line_and_an_exit_code(
    status: int, code: str, retryable: bool, exit_code: int
) -> None:
    problem = {"detail": "no such table: x", "code": code, "retryable": retryable}
    outcome = holdfast("sql", "anna", "x", service=answers(status, json=problem))
    assert outcome.code == exit_code
    assert outcome.err == f"holdfast: no such table: x ({code})\n"


def test_an_answer_that_is_no_problem_document_is_told_by_its_status() -> None:
    outcome = holdfast("sql", "anna", "x", service=answers(502, content=b"<html>"))
    assert outcome.code == 3
    assert "HTTP 502" in outcome.err


def test_no_service_is_one_line_that_says_what_to_start() -> None:
    outcome = holdfast("sql", "anna", "x")
    assert outcome.code == 3
    assert outcome.err.startswith("holdfast: no service answers at http://127.0.0.1:8700")
    assert outcome.err.count("\n") == 1
