"""Counts what a store is asked for, in the classes that R2 bills by: the source of metrics and of cost figures.

Class A: put, put_stream, list, copy. Class B: get, open, head. Deletes are free. Counted are operations of the port,
when they are asked for; repeats inside an adapter and the parts of a multipart upload are not seen here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from storage.objects.port import ListPage, ObjectInfo, ObjectStore, ObjectStream, StoredObject

CLASS_A = ("put", "put_stream", "list", "copy")
CLASS_B = ("get", "open", "head")


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """Operations since the store was opened, by name, and bytes of bodies sent to and received from the store."""

    operations: Mapping[str, int]
    bytes_written: int
    bytes_read: int

    @property
    def class_a(self) -> int:
        """Operations billed as writes."""
        return sum(self.operations.get(name, 0) for name in CLASS_A)

    @property
    def class_b(self) -> int:
        """Operations billed as reads."""
        return sum(self.operations.get(name, 0) for name in CLASS_B)


class CountingStore:
    """Implements `ObjectStore` by passing everything on to `store`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._operations: Counter[str] = Counter()
        self._bytes_written = 0
        self._bytes_read = 0

    @property
    def counts(self) -> StoreCounts:
        """What was counted until now."""
        return StoreCounts(dict(self._operations), self._bytes_written, self._bytes_read)

    async def get(self, key: str) -> StoredObject:
        self._operations["get"] += 1
        found = await self._store.get(key)
        self._bytes_read += len(found.body)
        return found

    @asynccontextmanager
    async def open(self, key: str, *, chunk_bytes: int = 1 << 20) -> AsyncIterator[ObjectStream]:
        self._operations["open"] += 1
        async with self._store.open(key, chunk_bytes=chunk_bytes) as stream:
            yield ObjectStream(stream.info, self._read(stream.chunks))

    async def head(self, key: str) -> ObjectInfo:
        self._operations["head"] += 1
        return await self._store.head(key)

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
        self._operations["put"] += 1
        self._bytes_written += len(body)
        return await self._store.put(
            key, body, metadata=metadata, content_type=content_type, if_none_match=if_none_match, if_match=if_match
        )

    async def put_stream(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> ObjectInfo:
        self._operations["put_stream"] += 1
        return await self._store.put_stream(key, self._written(chunks), metadata=metadata, content_type=content_type)

    async def delete(self, key: str) -> None:
        self._operations["delete"] += 1
        await self._store.delete(key)

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 1000) -> ListPage:
        self._operations["list"] += 1
        return await self._store.list(prefix, start_after=start_after, limit=limit)

    async def copy(self, source: str, target: str, *, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        self._operations["copy"] += 1
        return await self._store.copy(source, target, metadata=metadata)

    def presign_get(self, key: str, *, expires_s: int) -> str:
        return self._store.presign_get(key, expires_s=expires_s)

    def presign_put(self, key: str, *, expires_s: int, content_type: str | None = None) -> str:
        return self._store.presign_put(key, expires_s=expires_s, content_type=content_type)

    async def close(self) -> None:
        await self._store.close()

    async def _read(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._bytes_read += len(chunk)
            yield chunk

    async def _written(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._bytes_written += len(chunk)
            yield chunk
