"""May a call be sent again? Decided from its error and its request. Pure.

What surely did not run is sent again. What may have run is, only if running it twice changes nothing: safe ops, calls
with an idempotency key (the key is remembered with the write), and SQL that plainly only reads. The text of the SQL is
looked at only here, after a failure; in doubt it counts as a write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum

import msgspec

from actors.call import SAFE_OPS, Op
from actors.errors import ActivationEnded, AddressLocked, HostUnavailable, Moved, OutcomeUnknownWrite
from actors.hosting.errors import LinkLost
from storage.errors import HoldfastError

_READS = frozenset({"SELECT", "VALUES", "WITH", "EXPLAIN", "PRAGMA"})
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|ALTER)\b", re.IGNORECASE)
_READING_PRAGMA = re.compile(
    r"PRAGMA\s+(?:\w+\.)?(?:\w+|(?:table_info|table_xinfo|table_list|index_list|index_info|index_xinfo|foreign_key_list"
    r"|foreign_key_check|quick_check|integrity_check)\s*\([^()]*\))\s*\Z",
    re.IGNORECASE,
)
_QUIET = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL
)


class Verdict(Enum):
    """RESEND: safe to send again. UNKNOWN: it may have run and must not run twice. FINAL: this error is the answer."""

    RESEND = "resend"
    UNKNOWN = "unknown"
    FINAL = "final"


def judge(error: HoldfastError, op: Op, args: Mapping[str, object], body: bytes) -> Verdict:
    """What `error` means for the call that met it."""
    if isinstance(error, (Moved, ActivationEnded, AddressLocked)):
        return Verdict.RESEND
    if isinstance(error, LinkLost) and error.may_have_run:
        return Verdict.RESEND if may_run_twice(op, args, body) else Verdict.UNKNOWN
    if isinstance(error, HostUnavailable):
        return Verdict.RESEND
    if isinstance(error, OutcomeUnknownWrite) and args.get("idempotency_key"):
        return Verdict.RESEND
    return Verdict.FINAL


def may_run_twice(op: Op, args: Mapping[str, object], body: bytes) -> bool:
    """Whether a second run of the call does no harm."""
    return op in SAFE_OPS or bool(args.get("idempotency_key")) or (op is Op.SQL and only_reads(body))


def only_reads(body: bytes) -> bool:
    """Whether the body of a SQL call holds nothing but statements that plainly read."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    if not isinstance(request, dict):
        return False
    statements = request.get("statements", [request])
    if not isinstance(statements, list):
        return False
    texts = [each.get("sql") if isinstance(each, dict) else each for each in statements]
    return bool(texts) and all(isinstance(text, str) and _text_only_reads(text) for text in texts)


def _text_only_reads(sql: str) -> bool:
    """Literals, quoted names and comments are blanked first; an unclosed quote leaves a quote behind: in doubt."""
    bare = _QUIET.sub(" x ", sql)
    if any(quote in bare for quote in "'\"`["):
        return False
    statements = [part for each in bare.split(";") if (part := _without_blanks(each))]
    return bool(statements) and all(_statement_only_reads(each) for each in statements)


def _without_blanks(statement: str) -> str:
    """`statement` without what comments left in front and behind."""
    return re.sub(r"\A(?:\s|\bx\b)+|(?:\s)+\Z", "", statement)


def _statement_only_reads(statement: str) -> bool:
    word = re.match(r"[A-Za-z]+", statement)
    if word is None or word[0].upper() not in _READS:
        return False
    if word[0].upper() == "PRAGMA":
        return _READING_PRAGMA.match(statement) is not None
    return _WRITES.search(statement) is None
