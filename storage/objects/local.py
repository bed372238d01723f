"""An object store in a directory: keys are paths below it, metadata sits in hidden files beside the objects.

Root is the data directory itself (`user_data/dev/users/…`), so people can look at it, copy it and drop files in. State
of our own stands in `{root}/.holdfast/`, which no key reaches. Every write is durable when it returns, and conditional
writes hold between all processes of this machine that use the directory (not over network file systems without flock).

Where it differs from a bucket: a key cannot lead through another object (`a` and `a/b`), and folders stay when emptied.

Threads: looking up, listing and reading small objects happens on the event loop (20 to 60 µs each; a hop to a thread
costs 60 to 100 µs), whatever syncs, hashes or reads much goes to this store's own threads.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

from storage.clock import Clock
from storage.errors import InvalidRequest
from storage.objects.checksum import check_body, new_md5
from storage.objects.key import (
    RESERVED_NAME_PREFIX,
    check_conditions,
    check_key,
    check_limit,
    check_metadata,
    check_prefix,
    check_start_after,
)
from storage.objects.local_draft import Draft, remove_abandoned
from storage.objects.local_errors import translated
from storage.objects.local_folders import Folders, sync_folder
from storage.objects.local_listing import TooManyEntries, Walk, list_page
from storage.objects.local_lock import StripedLocks
from storage.objects.local_reader import ObjectReader
from storage.objects.local_writer import Labels, ObjectWriter
from storage.objects.port import ListPage, ObjectInfo, ObjectStream, StoredObject
from storage.objects.presign import LinkSigner, require_signer
from storage.objects.thread_lane import ThreadLane, opened_in_thread, submitted

THREADS_MAX = 8
INLINE_BYTES_MAX = 256 << 10  # bodies read (and hashed, 0.4 ms) on the event loop
INLINE_ENTRIES_MAX = 32  # folder entries listed on the event loop (1 ms)
STREAM_CHUNK_BYTES_MAX = 64 << 20

T = TypeVar("T")


class LocalStore:
    """Implements `ObjectStore` below `root`, which is made if absent. `links` signs presigned URLs."""

    def __init__(self, root: Path, clock: Clock, *, links: LinkSigner | None = None) -> None:
        self._root = os.path.abspath(root)
        self._clock = clock
        self._links = links
        drafts = os.path.join(self._root, RESERVED_NAME_PREFIX, "tmp", "objects")
        locks = os.path.join(self._root, RESERVED_NAME_PREFIX, "locks", "objects")
        with translated(f"open the local store {self._root}"):
            os.makedirs(drafts, exist_ok=True)
            os.makedirs(locks, exist_ok=True)
            sync_folder(os.path.dirname(self._root))
            remove_abandoned(drafts)
        self._reader = ObjectReader(self._root, clock)
        self._writer = ObjectWriter(self._reader, Folders(self._root), StripedLocks(locks, clock), drafts, clock)
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="holdfast-objects")

    async def get(self, key: str) -> StoredObject:
        check_key(key)
        found = self._reader.read(key, INLINE_BYTES_MAX)
        return found if found is not None else _whole(await self._in_thread(lambda: self._reader.read(key)))

    @asynccontextmanager
    async def open(self, key: str, *, chunk_bytes: int = 1 << 20) -> AsyncIterator[ObjectStream]:
        if not 1 <= chunk_bytes <= STREAM_CHUNK_BYTES_MAX:
            raise InvalidRequest(f"chunk_bytes is {chunk_bytes}, expected 1 to {STREAM_CHUNK_BYTES_MAX}")
        check_key(key)
        file, info = await opened_in_thread(self._threads, lambda: self._reader.open(key))
        lane = ThreadLane(self._threads, file)
        try:
            yield ObjectStream(info, _chunks(lane, file, info, chunk_bytes))
        finally:
            lane.close()

    async def head(self, key: str) -> ObjectInfo:
        identity = self._reader.identify(check_key(key), INLINE_BYTES_MAX)
        if identity is None:
            identity = _whole(await self._in_thread(lambda: self._reader.identify(key)))
        return identity.info(key)

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
        labels = Labels(check_metadata(metadata), content_type, if_none_match == "*", if_match)
        check_key(key)
        return await self._in_thread(lambda: self._writer.put(key, body, labels))

    async def put_stream(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> ObjectInfo:
        check_key(key)
        labels = Labels(check_metadata(metadata), content_type)
        return await self._place_stream(key, chunks, labels)

    async def delete(self, key: str) -> None:
        check_key(key)
        await self._in_thread(lambda: self._writer.delete(key))

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 1000) -> ListPage:
        check_limit(limit)
        names = (self._root, check_prefix(prefix), check_start_after(start_after))
        store_time = self._clock.wall()
        try:
            walk = Walk(*names, entries_max=INLINE_ENTRIES_MAX)
            objects, last = list_page(self._reader, walk, limit, bytes_max=INLINE_BYTES_MAX)
        except TooManyEntries:
            objects, last = await self._in_thread(lambda: list_page(self._reader, Walk(*names), limit))
        return ListPage(tuple(objects), last, store_time)

    async def copy(self, source: str, target: str, *, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        check_key(target)
        async with self.open(source) as stream:
            kept = check_metadata(stream.info.metadata if metadata is None else metadata)
            return await self._place_stream(target, stream.chunks, Labels(kept, stream.info.content_type))

    def presign_get(self, key: str, *, expires_s: int) -> str:
        return require_signer(self._links).url("GET", check_key(key), self._clock.wall(), expires_s=expires_s)

    def presign_put(self, key: str, *, expires_s: int, content_type: str | None = None) -> str:
        signer = require_signer(self._links)
        return signer.url("PUT", check_key(key), self._clock.wall(), expires_s=expires_s, content_type=content_type)

    async def close(self) -> None:
        """Wait for writes under way (a cancelled caller's too) and end the threads."""
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)

    async def _place_stream(self, key: str, chunks: AsyncIterator[bytes], labels: Labels) -> ObjectInfo:
        with translated(f"put {key}"):
            draft = self._writer.draft()
        lane = ThreadLane(self._threads, draft)
        try:
            async for chunk in chunks:
                await lane.run(partial(_append, draft, key, chunk))
            return await lane.run(lambda: self._writer.place(draft, key, labels))
        finally:
            lane.close()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(submitted(self._threads, work))


async def _chunks(lane: ThreadLane, file: BinaryIO, info: ObjectInfo, chunk_bytes: int) -> AsyncIterator[bytes]:
    md5 = new_md5()

    def read() -> bytes:
        with translated(f"get {info.key}"):
            chunk = file.read(chunk_bytes)
        md5.update(chunk)
        return chunk

    while chunk := await lane.run(read):
        yield chunk
    check_body(info.key, info.etag, str(md5.hexdigest()))


def _append(draft: Draft, key: str, chunk: bytes) -> None:
    with translated(f"put {key}"):
        draft.write(chunk)


def _whole(found: T | None) -> T:
    assert found is not None, "a read without a bound returned nothing"
    return found
