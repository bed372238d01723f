"""May a call be sent again? Never a write that may have run; everything that plainly may."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.call import SAFE_OPS, Op
from actors.errors import (
    ActivationEnded,
    AddressLocked,
    ConstraintFailed,
    HostUnavailable,
    Moved,
    OutcomeUnknownWrite,
    Overloaded,
)
from actors.hosting.errors import LinkLost
from actors.hosting.resend import Verdict, judge, only_reads
from storage.errors import HoldfastError

WRITE = b'{"sql":"insert into t values (1)"}'
READ = b'{"sql":"select 1"}'
LOST = LinkLost("x", may_have_run=True)
RESEND, UNKNOWN, FINAL = Verdict.RESEND, Verdict.UNKNOWN, Verdict.FINAL


@pytest.mark.parametrize(
    ("error", "op", "args", "body", "verdict"),
    [
        (LinkLost("x", may_have_run=False), Op.SQL, {}, WRITE, RESEND),
        (Moved("x"), Op.SQL, {}, WRITE, RESEND),
        (ActivationEnded("x"), Op.IMPORT, {}, b"", RESEND),
        (AddressLocked("x"), Op.SQL, {}, WRITE, RESEND),
        (HostUnavailable("x"), Op.SQL, {}, WRITE, RESEND),
        (LOST, Op.SQL, {}, WRITE, UNKNOWN),
        (LOST, Op.IMPORT, {}, b"", UNKNOWN),
        (LOST, Op.SQL, {"idempotency_key": "k"}, WRITE, RESEND),
        (LOST, Op.SQL, {"idempotency_key": ""}, WRITE, UNKNOWN),
        (LOST, Op.SQL, {}, READ, RESEND),
        (OutcomeUnknownWrite("x"), Op.SQL, {}, WRITE, FINAL),
        (OutcomeUnknownWrite("x"), Op.SQL, {"idempotency_key": "k"}, WRITE, RESEND),
        (Overloaded("x"), Op.SQL, {}, READ, FINAL),
        (ConstraintFailed("x"), Op.SQL, {}, WRITE, FINAL),
    ],
)
def test_the_table(error: HoldfastError, op: Op, args: Mapping[str, object], body: bytes, verdict: Verdict) -> None:
    assert judge(error, op, args, body) is verdict


@pytest.mark.parametrize("op", sorted(SAFE_OPS))
def test_safe_ops_may_run_twice(op: Op) -> None:
    assert judge(LOST, op, {}, b"") is RESEND


READS = [
    "select 1",
    "  SELECT * FROM t WHERE name = 'insert; delete' ",
    "-- a comment\nselect 1",
    "/* two */ /* of them */ select 1 -- end",
    "with x as (select 1) select * from x",
    "values (1), (2)",
    "explain query plan select 1",
    "pragma user_version",
    "pragma table_info(t)",
    'select "update" from "delete"',
    "select [drop] from `alter`",
    "select 1; select 2;",
    "select 'it''s'",
]
WRITES = [
    "insert into t values (1)",
    "with x as (select 1) delete from t",
    "select 1; delete from t",
    "explain insert into t values (1)",
    "pragma user_version = 3",
    "pragma user_version(3)",
    "replace into t values (1)",
    "/* select */ update t set a = 1",
    "-- select\nupdate t set a = 1",
    "'select' ; drop table t",
    "select 'unclosed",
    "",
    ";",
    "selec",
    "begin",
    "vacuum",
    "reindex",
    "analyze",
]


@pytest.mark.parametrize("sql", READS)
def test_what_plainly_reads_is_seen_as_a_read(sql: str) -> None:
    assert only_reads(json.dumps({"sql": sql, "params": [1]}).encode())


@pytest.mark.parametrize("sql", WRITES)
def test_everything_else_counts_as_a_write(sql: str) -> None:
    assert not only_reads(json.dumps({"sql": sql}).encode())


def test_statements_read_only_if_each_does() -> None:
    def body(*sqls: str) -> bytes:
        return json.dumps({"statements": [{"sql": sql} for sql in sqls]}).encode()

    assert only_reads(body("select 1", "select 2"))
    assert not only_reads(body("select 1", "delete from t"))
    assert not only_reads(body())


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: json.dumps({"sql": text}).encode()))
def test_whatever_the_body_is_it_is_judged_and_garbage_is_no_read(body: bytes) -> None:
    if only_reads(body):
        assert any(word in body.upper() for word in (b"SELECT", b"VALUES", b"WITH", b"EXPLAIN", b"PRAGMA"))


@given(st.sampled_from(READS), st.sampled_from(WRITES[:9]))
def test_a_write_beside_a_read_is_never_overlooked(read: str, write: str) -> None:
    separated = read if read.rstrip().endswith(";") else read + "\n;"
    assert not only_reads(json.dumps({"sql": f"{separated} {write}"}).encode())
