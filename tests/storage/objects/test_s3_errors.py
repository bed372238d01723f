"""Every answer of an S3 server, and its absence, means one thing to the caller."""

from __future__ import annotations

import pytest
from botocore import exceptions as boto

from storage.errors import (
    HoldfastError,
    InvalidRequest,
    ObjectNotFound,
    OutcomeUnknown,
    PreconditionFailed,
    StoreRefused,
    Unavailable,
)
from storage.objects.s3_errors import translate


def an_answer(status: int, code: str = "", **headers: str) -> boto.ClientError:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return boto.ClientError({"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": metadata}, "Put")


@pytest.mark.parametrize(
    ("status", "code", "plain", "conditional"),
    [
        (404, "NoSuchKey", ObjectNotFound, PreconditionFailed),
        (404, "404", ObjectNotFound, PreconditionFailed),
        (404, "NoSuchBucket", StoreRefused, StoreRefused),
        (412, "PreconditionFailed", PreconditionFailed, PreconditionFailed),
        (409, "ConditionalRequestConflict", Unavailable, Unavailable),
        (429, "TooManyRequests", Unavailable, Unavailable),
        (500, "InternalError", Unavailable, OutcomeUnknown),
        (503, "SlowDown", Unavailable, OutcomeUnknown),
        (400, "RequestTimeout", Unavailable, OutcomeUnknown),
        (400, "BadDigest", Unavailable, OutcomeUnknown),
        (408, "", Unavailable, OutcomeUnknown),
        (200, "InternalError", Unavailable, OutcomeUnknown),
        (0, "", Unavailable, OutcomeUnknown),
        (403, "AccessDenied", StoreRefused, StoreRefused),
        (403, "", StoreRefused, StoreRefused),
        (401, "Unauthorized", StoreRefused, StoreRefused),
        (400, "ExpiredToken", StoreRefused, StoreRefused),
        (301, "PermanentRedirect", StoreRefused, StoreRefused),
        (501, "NotImplemented", StoreRefused, StoreRefused),
        (400, "MetadataTooLarge", InvalidRequest, InvalidRequest),
        (400, "EntityTooLarge", InvalidRequest, InvalidRequest),
    ],
)
def test_an_answer_means_one_thing(
    status: int, code: str, plain: type[HoldfastError], conditional: type[HoldfastError]
) -> None:
    error = an_answer(status, code)
    assert type(translate(error, "put a", conditional=False)) is plain
    assert type(translate(error, "put a", conditional=True)) is conditional
    assert translate(error, "put a", conditional=False).message == " ".join(
        f"put a: answered {status} {code}: why".split()
    )


@pytest.mark.parametrize(
    ("error", "plain", "conditional"),
    [
        (boto.EndpointConnectionError(endpoint_url="u"), Unavailable, Unavailable),
        (boto.ConnectTimeoutError(endpoint_url="u"), Unavailable, Unavailable),
        (boto.ReadTimeoutError(endpoint_url="u"), Unavailable, OutcomeUnknown),
        (boto.ConnectionClosedError(endpoint_url="u"), Unavailable, OutcomeUnknown),
        (boto.SSLError(endpoint_url="u", error="e"), Unavailable, OutcomeUnknown),
        (boto.ResponseStreamingError(error="e"), Unavailable, OutcomeUnknown),
        (boto.NoCredentialsError(), StoreRefused, StoreRefused),
        (boto.ParamValidationError(report="r"), InvalidRequest, InvalidRequest),
    ],
)
def test_no_answer_is_unknown_unless_nothing_was_sent(
    error: Exception, plain: type[HoldfastError], conditional: type[HoldfastError]
) -> None:
    assert type(translate(error, "put a", conditional=False)) is plain
    assert type(translate(error, "put a", conditional=True)) is conditional


def test_the_stores_retry_after_is_passed_on() -> None:
    assert translate(an_answer(429, **{"retry-after": "7"}), "put a", conditional=True).retry_after_s == 7.0
    assert translate(an_answer(503, **{"retry-after": "soon"}), "put a", conditional=False).retry_after_s is None
