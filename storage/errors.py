"""Errors of the ground floor, and the root that every floor's errors share.

    HoldfastError
    ├── StorageError
    │   ├── Unavailable            retry later: the store answers 429, 5xx or not at all
    │   │   └── OutcomeUnknown     a conditional write was sent and never answered: settle it by its put-id
    │   ├── PreconditionFailed     the condition of a write did not hold (HTTP 412)
    │   ├── ObjectNotFound         no such key
    │   ├── StoreRefused           credentials or permissions: an operator has to act
    │   ├── CorruptObject          stop and look: bytes do not match their checksum or their format
    │   │   └── CorruptSegment     the same, inside an actor's log
    │   ├── LogGap                 stop and look: a slot is missing
    │   └── UnsupportedVersion     written by a newer Holdfast
    └── InvalidRequest             fix the request (ids, keys, arguments)

`code` is stable text for programs, `retryable` says whether the same call may succeed later.
"""

from __future__ import annotations

from collections.abc import Mapping


class HoldfastError(Exception):
    """Root of every error this project raises on purpose."""

    code = "internal"
    retryable = False

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, details: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s
        self.details = dict(details or {})


class StorageError(HoldfastError):
    code = "storage_error"


class Unavailable(StorageError):
    code = "storage_unavailable"
    retryable = True


class OutcomeUnknown(Unavailable):
    code = "storage_outcome_unknown"


class PreconditionFailed(StorageError):
    code = "precondition_failed"


class ObjectNotFound(StorageError):
    code = "object_not_found"


class StoreRefused(StorageError):
    code = "store_refused"


class CorruptObject(StorageError):
    code = "corrupt_object"


class CorruptSegment(CorruptObject):
    code = "corrupt_segment"


class LogGap(StorageError):
    code = "log_gap"


class UnsupportedVersion(StorageError):
    code = "unsupported_version"


class InvalidRequest(HoldfastError):
    code = "invalid_request"
