"""Conditional writes carried to a certain end: stored by us, or refused because of another's object (rule 1).

An unanswered conditional write may have been carried out. Sending it again is safe, since body, condition and put-id
are the same, and so the end is found: 200 means stored; 412 means that an object is in the way, and the put-id in its
metadata says whether it is ours, from an earlier send. Whatever is not certain is never reported as either.

With `if_match` our object may have been stored and then replaced by another writer before we could look; that is
`Taken` with the object found, and only a ring of put-ids inside the body tells the difference (rule 14).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from storage.clock import Clock
from storage.errors import (
    HoldfastError,
    InvalidRequest,
    ObjectNotFound,
    OutcomeUnknown,
    PreconditionFailed,
    Unavailable,
)
from storage.objects.backoff import BackoffPolicy
from storage.objects.port import ObjectInfo, ObjectStore

PUT_ID_KEY = "holdfast-put-id"
BACKOFF = BackoffPolicy()


@dataclass(frozen=True, slots=True)
class Settled:
    """Our object is stored. `first_sent_at` is `clock.now()` right before the first send: the only time at which
    ownership was confirmed by it (rule 7a). `resends` counts the sends after the first."""

    info: ObjectInfo
    first_sent_at: float
    resends: int


@dataclass(frozen=True, slots=True)
class Taken:
    """The condition did not hold, and what is there is not ours. `info` is None when nothing is there (if_match)."""

    info: ObjectInfo | None


class Finding(Enum):
    """What a look after a 412 means."""

    OURS = "ours"
    TAKEN = "taken"
    SEND_AGAIN = "send again"


def judge(found: ObjectInfo | None, *, put_id: str, if_match: str | None) -> Finding:
    """The meaning of the object found after a 412. Pure.

    Nothing there: a create met an object that was deleted meanwhile, so nothing is settled; an update has lost its base
    for good. The update's own base there: the refusal was about a state that has gone again, so nothing is settled.
    """
    if found is None:
        return Finding.SEND_AGAIN if if_match is None else Finding.TAKEN
    if found.metadata.get(PUT_ID_KEY) == put_id:
        return Finding.OURS
    return Finding.SEND_AGAIN if found.etag == if_match else Finding.TAKEN


async def put_settled(
    store: ObjectStore,
    key: str,
    body: bytes,
    *,
    put_id: str,
    clock: Clock,
    rng: random.Random,
    metadata: Mapping[str, str] | None = None,
    content_type: str | None = None,
    if_none_match: Literal["*"] | None = None,
    if_match: str | None = None,
    attempts_max: int | None = None,
    backoff: BackoffPolicy = BACKOFF,
    on_failure: Callable[[HoldfastError], None] = lambda error: None,
) -> Settled | Taken:
    """Send the identical conditional put until its end is certain; `on_failure` is told of every send that was not it.

    With `attempts_max` None it goes on until it is cancelled, and a cancelled one is unsettled. With a bound it ends in
    `OutcomeUnknown` when a send may have been carried out, else in `Unavailable`. Errors that no resend cures
    (`StoreRefused`, `InvalidRequest`) are raised as they are, or inside `OutcomeUnknown` when an earlier send is open.
    """
    if (if_none_match is None) == (if_match is None):
        raise InvalidRequest(f"put {key}: a settled put needs exactly one condition")
    labels = {**(metadata or {}), PUT_ID_KEY: put_id}
    request = _Request(store, key, body, put_id, labels, content_type, if_none_match, if_match)
    first_sent_at = clock.now()
    failures = 0
    unknown = False
    while True:
        try:
            end = await _send_and_look(request)
        except Unavailable as error:
            unknown = unknown or isinstance(error, OutcomeUnknown)
            failures += 1
            on_failure(error)
            if attempts_max is not None and failures >= attempts_max:
                raise _unsettled(error, key, failures, unknown) from error
            wait_s = backoff.wait_s(failures, rng.random(), asked_s=error.retry_after_s)
        except HoldfastError as error:
            if unknown:
                raise _unsettled(error, key, failures + 1, unknown) from error
            raise
        else:
            return end if isinstance(end, Taken) else Settled(end, first_sent_at, failures)
        await clock.sleep(wait_s)


@dataclass(frozen=True, slots=True)
class _Request:
    """What is sent, frozen at the first send: the same object goes out every time (rule 1)."""

    store: ObjectStore
    key: str
    body: bytes
    put_id: str
    labels: Mapping[str, str]
    content_type: str | None
    if_none_match: Literal["*"] | None
    if_match: str | None

    async def send(self) -> ObjectInfo:
        return await self.store.put(
            self.key,
            self.body,
            metadata=self.labels,
            content_type=self.content_type,
            if_none_match=self.if_none_match,
            if_match=self.if_match,
        )

    async def look(self) -> ObjectInfo | None:
        try:
            return await self.store.head(self.key)
        except ObjectNotFound:
            return None


async def _send_and_look(request: _Request) -> ObjectInfo | Taken:
    """One send and, after a 412, one look. Raises Unavailable or OutcomeUnknown when that settles nothing."""
    try:
        return await request.send()
    except PreconditionFailed as refusal:
        try:
            found = await request.look()
        except Unavailable as error:
            raise OutcomeUnknown(f"put {request.key}: something is in the way, and cannot be looked at") from error
        finding = judge(found, put_id=request.put_id, if_match=request.if_match)
        if finding is Finding.TAKEN:
            return Taken(found)
        if finding is Finding.OURS and found is not None:
            return found
        raise OutcomeUnknown(f"put {request.key}: what was in the way has gone again") from refusal


def _unsettled(error: HoldfastError, key: str, sends: int, unknown: bool) -> HoldfastError:
    kind = OutcomeUnknown if unknown else Unavailable
    return kind(f"put {key}: not settled after {sends} sends: {error.message}", retry_after_s=error.retry_after_s)
