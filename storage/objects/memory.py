"""An object store in memory, for tests and the test kit: no threads, no delays, the same answers every time.

It keeps every promise of the port except outliving the process. Operations never suspend, so a put is atomic.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Literal

from storage.clock import Clock
from storage.errors import ObjectNotFound, PreconditionFailed
from storage.objects.checksum import md5_hex
from storage.objects.key import (
    check_conditions,
    check_key,
    check_limit,
    check_metadata,
    check_prefix,
    check_start_after,
)
from storage.objects.port import ListPage, ObjectInfo, ObjectStream, StoredObject
from storage.objects.presign import LinkSigner, require_signer


class MemoryStore:
    """Implements `ObjectStore`. `links` signs presigned URLs as the local store does."""

    def __init__(self, clock: Clock, *, links: LinkSigner | None = None) -> None:
        self._clock = clock
        self._links = links
        self._objects: dict[str, StoredObject] = {}
        self._order: list[tuple[bytes, str]] = []

    async def get(self, key: str) -> StoredObject:
        return self._find(key)

    @asynccontextmanager
    async def open(self, key: str, *, chunk_bytes: int = 1 << 20) -> AsyncIterator[ObjectStream]:
        found = self._find(key)

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(found.body), chunk_bytes):
                yield found.body[start : start + chunk_bytes]

        yield ObjectStream(found.info, chunks())

    async def head(self, key: str) -> ObjectInfo:
        return self._find(key).info

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
        check_conditions(if_none_match, if_match)
        current = self._objects.get(check_key(key))
        if if_none_match and current:
            raise PreconditionFailed(f"object {key}: expected none, found etag {current.info.etag}")
        if if_match and (current is None or current.info.etag != if_match):
            found = f"etag {current.info.etag}" if current else "none"
            raise PreconditionFailed(f"object {key}: expected etag {if_match}, found {found}")
        return self._store(key, bytes(body), check_metadata(metadata), content_type)

    async def put_stream(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> ObjectInfo:
        check_key(key)
        checked = check_metadata(metadata)
        parts = [chunk async for chunk in chunks]
        return self._store(key, b"".join(parts), checked, content_type)

    async def delete(self, key: str) -> None:
        if self._objects.pop(check_key(key), None) is not None:
            del self._order[bisect_left(self._order, (key.encode(), key))]

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 1000) -> ListPage:
        check_limit(limit)
        wanted, after = check_prefix(prefix).encode(), check_start_after(start_after).encode()
        start = max(bisect_left(self._order, (wanted, "")), bisect_right(self._order, (after, start_after)))
        keys: list[str] = []
        for encoded, key in self._order[start : start + limit + 1]:
            if not encoded.startswith(wanted):
                break
            keys.append(key)
        objects = tuple(replace(self._objects[key].info, metadata={}, content_type=None) for key in keys[:limit])
        return ListPage(objects, objects[-1].key if len(keys) > limit else None, self._clock.wall())

    async def copy(self, source: str, target: str, *, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        found = self._find(source)
        checked = check_metadata(found.info.metadata if metadata is None else metadata)
        return self._store(check_key(target), found.body, checked, found.info.content_type)

    def presign_get(self, key: str, *, expires_s: int) -> str:
        return require_signer(self._links).url("GET", check_key(key), self._clock.wall(), expires_s=expires_s)

    def presign_put(self, key: str, *, expires_s: int, content_type: str | None = None) -> str:
        signer = require_signer(self._links)
        return signer.url("PUT", check_key(key), self._clock.wall(), expires_s=expires_s, content_type=content_type)

    async def close(self) -> None:
        """Nothing to free; the objects stay readable, as a bucket's would."""

    def _find(self, key: str) -> StoredObject:
        found = self._objects.get(check_key(key))
        if found is None:
            raise ObjectNotFound(f"object {key}: not found")
        return found

    def _store(self, key: str, body: bytes, metadata: dict[str, str], content_type: str | None) -> ObjectInfo:
        info = ObjectInfo(key, len(body), md5_hex(body), self._clock.wall(), metadata, content_type)
        if key not in self._objects:
            entry = (key.encode(), key)
            self._order.insert(bisect_left(self._order, entry), entry)
        self._objects[key] = StoredObject(info, body)
        return info
