"""What an S3 answer, or its absence, means for the caller. Pure (botocore's exception classes are values here).

A request that surely was not carried out is `Unavailable` and may be sent again; a conditional write that may have been
is `OutcomeUnknown`. 429 and 409 are refusals of the store and so are never unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

_NOT_SENT = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)
_NO_CREDENTIALS = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)
_REFUSED_CODES = frozenset(
    {
        "AccessDenied",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidBucketName",
        "InvalidToken",
        "NoSuchBucket",
        "NotImplemented",
        "PermanentRedirect",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
_TRANSIENT_CODES = frozenset({"BadDigest", "IncompleteBody", "RequestTimeout", "OperationAborted", "SlowDown"})


def translate(error: Exception, doing: str, *, conditional: bool) -> HoldfastError:
    """Our error for one of botocore's. `doing` is for the message: `put users/1/a in bucket b`."""
    if isinstance(error, boto.ClientError):
        return _of_answer(error.response, doing, conditional=conditional)
    if isinstance(error, _NO_CREDENTIALS):
        return StoreRefused(f"{doing}: {error}; credentials come from the usual AWS chain")
    if isinstance(error, (boto.ParamValidationError, boto.UnknownParameterError)):
        return InvalidRequest(f"{doing}: {error}")
    message = f"{doing}: no answer: {error}"
    if conditional and not isinstance(error, _NOT_SENT):
        return OutcomeUnknown(message)
    return Unavailable(message)


def _of_answer(response: Mapping[str, Any], doing: str, *, conditional: bool) -> HoldfastError:
    """One answer with an error status."""
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(response.get("Error", {}).get("Code", ""))
    message = f"{doing}: answered {status} {code}: {response.get('Error', {}).get('Message', '')}".rstrip(": ")
    if code in _REFUSED_CODES or status in (301, 401, 403, 501):
        return StoreRefused(message)
    if status == 412:
        return PreconditionFailed(message)
    if status == 404:
        # A write with If-Match to a missing key: R2 answers 412, AWS 404.
        return PreconditionFailed(message) if conditional else ObjectNotFound(message)
    if status in (409, 429):
        return Unavailable(message, retry_after_s=_retry_after_s(response))
    if status >= 500 or status == 408 or status < 400 or code in _TRANSIENT_CODES:
        kind = OutcomeUnknown if conditional else Unavailable
        return kind(message, retry_after_s=_retry_after_s(response))
    return InvalidRequest(message)


def _retry_after_s(response: Mapping[str, Any]) -> float | None:
    text = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() else None
