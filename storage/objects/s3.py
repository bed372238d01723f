"""An object store in a bucket: Cloudflare R2, or anything else that speaks S3, over boto3.

boto3 blocks, so it runs in this store's own threads, which are used nowhere else. The client never retries by itself:
everything that may be repeated safely is repeated here, with bounded jittered waits; a conditional write is sent once.
What R2 needs of the client: no checksum trailers, no `Expect: 100-continue` (never answered there, which costs a
second), path addressing, region `auto`. Bodies are checked by MD5 both ways.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from storage.clock import Clock
from storage.errors import CorruptObject, InvalidRequest, OutcomeUnknown, Unavailable
from storage.objects.backoff import BackoffPolicy
from storage.objects.checksum import check_body, is_plain, md5_hex, new_md5
from storage.objects.key import (
    check_conditions,
    check_key,
    check_limit,
    check_metadata,
    check_prefix,
    check_start_after,
    key_problem,
)
from storage.objects.port import ListPage, ObjectInfo, ObjectStream, StoredObject
from storage.objects.presign import check_expires
from storage.objects.s3_errors import translate
from storage.objects.s3_multipart import MultipartCopy, MultipartUpload
from storage.objects.settings import S3Settings
from storage.objects.thread_lane import ThreadLane, opened_in_thread, submitted

CHUNK_BYTES_MAX = 64 << 20

T = TypeVar("T")
Answer = dict[str, Any]


class S3Store:
    """Implements `ObjectStore` on one bucket. `session` replaces boto3's own credentials chain (tests)."""

    def __init__(self, settings: S3Settings, clock: Clock, rng: random.Random, *, session: Any = None) -> None:
        self._settings = settings.validate()
        self._clock = clock
        self._rng = rng
        self._backoff = BackoffPolicy()
        self._client = _client(settings, session)
        self._threads = ThreadPoolExecutor(settings.threads_max, thread_name_prefix="holdfast-s3")

    async def get(self, key: str) -> StoredObject:
        check_key(key)

        def work() -> StoredObject:
            answer = self._client.get_object(Bucket=self._settings.bucket, Key=key)
            with answer["Body"] as stream:
                body: bytes = stream.read()
            info = _info(key, answer)
            _check_length(key, info.size, len(body))
            check_body(key, info.etag, md5_hex(body))
            return StoredObject(info, body, verified=is_plain(info.etag))

        return await self._repeat(f"get {key}", work)

    @asynccontextmanager
    async def open(self, key: str, *, chunk_bytes: int = 1 << 20) -> AsyncIterator[ObjectStream]:
        if not 1 <= chunk_bytes <= CHUNK_BYTES_MAX:
            raise InvalidRequest(f"chunk_bytes is {chunk_bytes}, expected 1 to {CHUNK_BYTES_MAX}")
        check_key(key)

        def work() -> tuple[Any, ObjectInfo]:
            answer = self._client.get_object(Bucket=self._settings.bucket, Key=key)
            return answer["Body"], _info(key, answer)

        body, info = await self._repeat(f"open {key}", work, opens=True)
        lane = ThreadLane(self._threads, body)
        try:
            yield ObjectStream(info, self._chunks(lane, body, info, chunk_bytes))
        finally:
            lane.close()

    async def head(self, key: str) -> ObjectInfo:
        check_key(key)
        return await self._repeat(
            f"head {key}", lambda: _info(key, self._client.head_object(Bucket=self._settings.bucket, Key=key))
        )

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
        request = self._labels(check_key(key), check_metadata(metadata), content_type)
        if if_none_match is not None:
            request["IfNoneMatch"] = if_none_match
        if if_match is not None:
            request["IfMatch"] = f'"{if_match}"'

        def work() -> ObjectInfo:
            etag = md5_hex(body)
            digest = base64.b64encode(bytes.fromhex(etag)).decode()
            answer = self._client.put_object(**request, Body=body, ContentMD5=digest)
            if _etag(answer) != etag:
                raise CorruptObject(f"put {key}: the store has etag {_etag(answer)}, the body's MD5 is {etag}")
            return ObjectInfo(key, len(body), etag, _date(answer), request["Metadata"], content_type)

        if if_none_match is None and if_match is None:
            return await self._repeat(f"put {key}", work)
        return await self._once(f"put {key}", work, conditional=True)

    async def put_stream(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str | None = None,
    ) -> ObjectInfo:
        request = self._labels(check_key(key), check_metadata(metadata), content_type)
        held = bytearray()
        async for chunk in chunks:
            held += chunk
            if len(held) > self._settings.multipart_above_bytes:
                upload = MultipartUpload(self._client, self._repeat, request, self._settings.part_bytes)
                await upload.run(held, chunks)
                return await self.head(key)
        return await self.put(key, bytes(held), metadata=metadata, content_type=content_type)

    async def delete(self, key: str) -> None:
        check_key(key)
        await self._repeat(f"delete {key}", lambda: self._client.delete_object(Bucket=self._settings.bucket, Key=key))

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 1000) -> ListPage:
        request = {"Bucket": self._settings.bucket, "Prefix": check_prefix(prefix), "MaxKeys": check_limit(limit)}
        if check_start_after(start_after):
            request["StartAfter"] = start_after
        answer = await self._repeat(f"list {prefix}", lambda: self._client.list_objects_v2(**request))
        found = answer.get("Contents", [])
        objects = tuple(_listed(item) for item in found if key_problem(item["Key"]) is None)
        more = bool(answer.get("IsTruncated")) and bool(found)
        return ListPage(objects, found[-1]["Key"] if more else None, _date(answer))

    async def copy(self, source: str, target: str, *, metadata: Mapping[str, str] | None = None) -> ObjectInfo:
        found = await self.head(source)
        labels = check_metadata(found.metadata if metadata is None else metadata)
        request = self._labels(check_key(target), labels, found.content_type)
        if found.size > self._settings.copy_bytes_max:
            copy = MultipartCopy(self._client, self._repeat, request, self._settings.copy_part_bytes)
            await copy.run(source, found)
        else:
            origin = {"Bucket": self._settings.bucket, "Key": source}
            await self._repeat(
                f"copy {source} to {target}",
                lambda: self._client.copy_object(**request, CopySource=origin, MetadataDirective="REPLACE"),
            )
        return await self.head(target)

    def presign_get(self, key: str, *, expires_s: int) -> str:
        return self._presign("get_object", {"Key": check_key(key)}, expires_s)

    def presign_put(self, key: str, *, expires_s: int, content_type: str | None = None) -> str:
        request = {"Key": check_key(key)} | ({} if content_type is None else {"ContentType": content_type})
        return self._presign("put_object", request, expires_s)

    async def close(self) -> None:
        """Wait for requests under way (bounded by their timeouts) and end threads and connections."""
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)
        self._client.close()

    def _presign(self, operation: str, request: dict[str, str], expires_s: int) -> str:
        """Computed here, without a request. A missing credential is StoreRefused."""
        try:
            url: str = self._client.generate_presigned_url(
                operation, Params={"Bucket": self._settings.bucket, **request}, ExpiresIn=check_expires(expires_s)
            )
        except (BotoCoreError, ClientError) as error:
            raise translate(error, f"presign {request['Key']}", conditional=False) from error
        return url

    def _labels(self, key: str, metadata: dict[str, str], content_type: str | None) -> Answer:
        request: Answer = {"Bucket": self._settings.bucket, "Key": key, "Metadata": metadata}
        return request if content_type is None else request | {"ContentType": content_type}

    async def _chunks(self, lane: ThreadLane, body: Any, info: ObjectInfo, chunk_bytes: int) -> AsyncIterator[bytes]:
        """A connection that breaks in the middle ends the stream with Unavailable; the caller starts again."""
        md5 = new_md5()
        size = 0
        doing = f"read {info.key} in bucket {self._settings.bucket}"

        def read() -> bytes:
            try:
                chunk: bytes = body.read(chunk_bytes)
            except (BotoCoreError, HTTPError, OSError) as error:
                raise Unavailable(f"{doing}: broke off: {error}") from error
            md5.update(chunk)
            return chunk

        while chunk := await lane.run(read):
            size += len(chunk)
            yield chunk
        _check_length(info.key, info.size, size)
        check_body(info.key, info.etag, str(md5.hexdigest()))

    async def _repeat(self, doing: str, work: Callable[[], T], *, opens: bool = False) -> T:
        """Carry out something that may happen twice, until it is answered or the attempts are used up."""
        failures = 0
        while True:
            try:
                return await self._once(doing, work, conditional=False, opens=opens)
            except Unavailable as error:
                failures += 1
                if failures >= self._settings.attempts_max:
                    raise
                wait_s = self._backoff.wait_s(failures, self._rng.random(), asked_s=error.retry_after_s)
            await self._clock.sleep(wait_s)

    async def _once(self, doing: str, work: Callable[[], T], *, conditional: bool, opens: bool = False) -> T:
        doing = f"{doing} in bucket {self._settings.bucket}"
        try:
            if opens:
                return await opened_in_thread(self._threads, work)  # type: ignore[arg-type, return-value]
            return await asyncio.wrap_future(submitted(self._threads, work))
        except (BotoCoreError, ClientError) as error:
            raise translate(error, doing, conditional=conditional) from error
        except (HTTPError, OSError) as error:
            kind = OutcomeUnknown if conditional else Unavailable
            raise kind(f"{doing}: no answer: {error}") from error


def _client(settings: S3Settings, session: Any) -> Any:
    config = Config(
        region_name=settings.region,
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=settings.connect_timeout_s,
        read_timeout=settings.read_timeout_s,
        max_pool_connections=settings.threads_max,
        tcp_keepalive=True,
    )
    client = (session or boto3.Session()).client("s3", endpoint_url=settings.endpoint, config=config)
    client.meta.events.register("before-send.s3", _strip_expect)
    return client


def _strip_expect(request: Any, **_: Any) -> None:
    if "Expect" in request.headers:
        del request.headers["Expect"]


def _info(key: str, answer: Answer) -> ObjectInfo:
    """What a GET or HEAD says. Some servers capitalise metadata keys on the way back."""
    metadata = {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
    modified: datetime = answer["LastModified"]
    return ObjectInfo(
        key, int(answer["ContentLength"]), _etag(answer), modified.timestamp(), metadata, answer.get("ContentType")
    )


def _listed(item: Answer) -> ObjectInfo:
    modified: datetime = item["LastModified"]
    return ObjectInfo(item["Key"], int(item["Size"]), _etag(item), modified.timestamp())


def _etag(answer: Answer) -> str:
    return str(answer.get("ETag", "")).strip('"')


def _date(answer: Answer) -> float:
    """The store's own clock. Retention rests on it (rule 11), so a store without one is not good enough."""
    text = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if not text:
        raise Unavailable("the store's answer has no Date header")
    return parsedate_to_datetime(text).timestamp()


def _check_length(key: str, expected: int, found: int) -> None:
    if found != expected:
        raise Unavailable(f"object {key}: the answer broke off after {found} of {expected} bytes")
