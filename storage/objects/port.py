"""What an object store offers, as one port with three adapters (local directory, memory, S3/R2).

Promises every adapter keeps (tests/storage/objects/conformance): read-after-write and list-after-write; a conditional
write is decided atomically against all other writers of the same store, in whatever process; the ETag of a simple
put is the MD5 of the body in hex, without quotes; metadata keys are lower-case ASCII, values printable ASCII, not
empty (storage.objects.key has the exact rules for keys and metadata).

Reads, lists, deletes and unconditional writes are retried inside, with bounded jittered backoff, and end in
`Unavailable`. A conditional write is sent ONCE: no answer (timeout, connection lost, 5xx) raises `OutcomeUnknown`, and
`storage.objects.settle` finds out whose it was. A 429 or 409 to a conditional write raises plain `Unavailable`: it was
refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object as a head or a listing shows it. `metadata` and `content_type` are empty in listings.

    `etag` is without quotes; `modified_at` is Unix time on the store's clock. Some stores fill in a content type of
    their own when a put names none.
    """

    key: str
    size: int
    etag: str
    modified_at: float
    metadata: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object with its whole body. `verified`: the adapter has checked the body against its MD5."""

    info: ObjectInfo
    body: bytes
    verified: bool = False


@dataclass(frozen=True, slots=True)
class ObjectStream:
    """An open download. `chunks` may be consumed once."""

    info: ObjectInfo
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class ListPage:
    """Keys in ascending byte order. `next_start_after` is None on the last page.

    `store_time` is the store's own clock (its Date header), Unix seconds: retention is measured against it alone.
    """

    objects: tuple[ObjectInfo, ...]
    next_start_after: str | None
    store_time: float


class ObjectStore(Protocol):
    """See the module. Keys are relative, `/`-separated, without empty, `.` or `..` parts."""

    async def get(self, key: str) -> StoredObject:
        """The whole object, for small ones (segments, JSON). Raises ObjectNotFound."""
        ...

    def open(self, key: str, *, chunk_bytes: int = 1 << 20) -> AbstractAsyncContextManager[ObjectStream]:
        """Stream a large object; memory stays within a few chunks. Raises ObjectNotFound on entering."""
        ...

    async def head(self, key: str) -> ObjectInfo:
        """Info with metadata. Raises ObjectNotFound."""
        ...

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
        if_none_match: Literal["*"] | None = None,
        if_match: str | None = None,
    ) -> ObjectInfo:
        """Write one object, durably, before returning. Raises PreconditionFailed, OutcomeUnknown, Unavailable."""
        ...

    async def put_stream(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> ObjectInfo:
        """Write a large object from a stream (multipart above 64 MiB on S3). The object appears whole or not at all."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the object; a missing one is no error."""
        ...

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 1000) -> ListPage:
        """One page of keys that begin with `prefix` and sort after `start_after`."""
        ...

    async def copy(self, source: str, target: str, *, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        """Copy inside the store (metadata kept unless given). Raises ObjectNotFound."""
        ...

    def presign_get(self, key: str, *, expires_s: int) -> str:
        """A URL that reads the object without credentials for `expires_s` seconds."""
        ...

    def presign_put(self, key: str, *, expires_s: int, content_type: str | None = None) -> str:
        """A URL that writes the object without credentials for `expires_s` seconds."""
        ...

    async def close(self) -> None:
        """Free threads and connections."""
        ...
