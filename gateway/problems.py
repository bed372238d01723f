"""Errors as `application/problem+json` (RFC 9457): one table from code to HTTP status. Pure.

A body holds `type`, `title`, `status`, `code`, `detail`, `retryable`, `request_id`, and `details` where the error has
some. `retryable` tells whether the same request may succeed later without harm; those answers carry `Retry-After`
(seconds). A code that the table does not know (a newer host's) is 503 when retryable and 500 otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from storage.errors import HoldfastError

CONTENT_TYPE = b"application/problem+json"
RETRY_AFTER_DEFAULT_S = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """How one code is answered."""

    status: int
    title: str


TABLE: Mapping[str, Row] = {
    # fix the request
    "invalid_request": Row(400, "Invalid request"),
    "invalid_id": Row(400, "Invalid user or profile id"),
    "invalid_key": Row(400, "Not a key of any layout"),
    "unknown_media_type": Row(400, "Neither audio nor image nor video"),
    "invalid_bookmark": Row(400, "Not a bookmark"),
    "invalid_link": Row(403, "The link does not allow this"),
    "expired_link": Row(403, "The link has expired"),
    "sql_error": Row(400, "The statement failed"),
    "transaction_ended": Row(400, "The statement ended its transaction"),
    "invalid_database": Row(400, "Not a database that can be imported"),
    "unauthorized": Row(401, "A valid token is required"),
    "user_required": Row(401, "The request does not say whose database it means"),
    "forbidden": Row(403, "Not allowed"),
    "user_mismatch": Row(403, "The request belongs to another user"),
    "origin_refused": Row(403, "Origin or host not allowed"),
    "not_authorized": Row(403, "The statement is not allowed"),
    "not_found": Row(404, "Not found"),
    "profile_not_found": Row(404, "No such profile"),
    "object_not_found": Row(404, "No such object"),
    "method_not_allowed": Row(405, "Method not allowed"),
    "statement_timeout": Row(408, "The statement ran past its deadline"),
    "request_timeout": Row(408, "The request body stopped arriving"),
    "constraint_failed": Row(409, "A constraint failed"),
    "in_r2_mode": Row(409, "The database is served in r2 mode"),
    "needs_actor_mode": Row(409, "Only an actor can do this, and the database is served in r2 mode"),
    "lost_race": Row(409, "Others saved first"),
    "write_lost": Row(409, "The write was lost in a takeover"),
    "reset": Row(409, "The database was reset since"),
    "default_profile": Row(409, "The default profile cannot be deleted"),
    "too_many_profiles": Row(409, "Too many profiles"),
    "not_empty": Row(409, "The database is not empty"),
    "quarantined": Row(409, "The file is too odd to be moved"),
    "not_verified": Row(409, "The copy is not what the file holds"),
    "foreign_writer": Row(409, "A sealed file was changed past the gateway"),
    "too_early": Row(409, "The retention time is not over"),
    "wrong_direction": Row(409, "The user is not to be moved this way now"),
    "superseded": Row(409, "Somebody else moves the user the other way"),
    "precondition_failed": Row(412, "A condition does not hold"),
    "body_too_large": Row(413, "The body is too large"),
    "result_too_large": Row(413, "The result is too large"),
    "unsupported_media_type": Row(415, "Unsupported media type"),
    "idempotency_key_reused": Row(422, "The idempotency key was used with another request"),
    "headers_too_large": Row(431, "The request's headers are too large"),
    # an operator has to look
    "internal": Row(500, "Internal error"),
    "storage_error": Row(500, "The object store misbehaved"),
    "actor_error": Row(500, "The actor failed"),
    "database_error": Row(500, "The database failed"),
    "malformed_frame": Row(500, "The link to the host broke"),
    "link_refused": Row(500, "The host refused the link"),
    "unsafe_store": Row(500, "The object store does not keep its conditions"),
    "migration_error": Row(500, "The migration failed"),
    "gateway_error": Row(500, "The gateway failed"),
    "corrupt_object": Row(500, "A stored object is corrupt"),
    "corrupt_segment": Row(500, "The log is corrupt"),
    "log_gap": Row(500, "The log has a gap"),
    "unsupported_version": Row(500, "Written by a newer version"),
    "store_refused": Row(500, "The object store refused the credentials"),
    # wait, or ask what became of it
    "storage_unavailable": Row(503, "The object store is unavailable"),
    "storage_outcome_unknown": Row(503, "The object store did not answer"),
    "overloaded": Row(503, "Overloaded"),
    "host_full": Row(503, "The host is full"),
    "journal_full": Row(503, "The journal is full"),
    "moved": Row(503, "The actor moved"),
    "outcome_unknown": Row(503, "The outcome of the write is unknown"),
    "activation_ended": Row(503, "The activation ended"),
    "database_broken": Row(503, "The database broke and recovers"),
    "not_durable_yet": Row(503, "Not durable yet"),
    "not_in_actor_mode": Row(503, "The database is changing modes"),
    "changing_modes": Row(503, "The database is changing modes"),
    "host_unavailable": Row(503, "The host is unavailable"),
    "address_locked": Row(503, "Another process holds the database"),
    "schema_failed": Row(503, "A schema migration failed"),
    "pause_too_long": Row(503, "Writes would have waited too long"),
    "still_owned": Row(503, "The actor does not end"),
    "no_progress": Row(503, "Others interfere with the migration"),
    "migrations_paused": Row(503, "Migrations are paused"),
    "stopping": Row(503, "The gateway is stopping"),
    "not_ready": Row(503, "Not ready"),
    "file_too_large": Row(507, "The file is too large for r2 mode"),
    "database_full": Row(507, "The database is full"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer, ready to be sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def problem_of(error: HoldfastError, request_id: str) -> Problem:
    """The answer for an error of ours."""
    return problem(
        error.code,
        error.message,
        request_id,
        retryable=error.retryable,
        retry_after_s=error.retry_after_s,
        details=error.details,
    )


def problem(
    code: str,
    detail: str,
    request_id: str,
    *,
    retryable: bool = False,
    retry_after_s: float | None = None,
    details: Mapping[str, object] | None = None,
) -> Problem:
    """The answer for `code`; `retry_after_s` is rounded up to whole seconds, at least 1."""
    row = TABLE.get(code) or Row(503 if retryable else 500, code.replace("_", " "))
    fields: dict[str, Any] = {
        "type": f"urn:holdfast:problem:{code}",
        "title": row.title,
        "status": row.status,
        "code": code,
        "detail": detail,
        "retryable": retryable,
        "request_id": request_id,
    }
    if details:
        fields["details"] = dict(details)
    body = msgspec.json.encode(fields, enc_hook=str)
    headers = [(b"content-type", CONTENT_TYPE), (b"content-length", b"%d" % len(body))]
    if retry_after_s is not None or retryable:
        wait_s = max(1, math.ceil(RETRY_AFTER_DEFAULT_S if retry_after_s is None else retry_after_s))
        headers.append((b"retry-after", b"%d" % wait_s))
    if row.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="holdfast"'))
    return Problem(row.status, headers, body)
