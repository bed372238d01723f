"""Objects too large for one request: uploaded, or copied inside the store, in parts.

All parts but the last have one size, as R2 demands. The object appears when the upload is completed, whole; an upload
that fails or is cancelled is aborted, so that its parts are not kept (and paid for). Memory: what is handed over at the
start, and one part.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, TypeVar

from storage.errors import CorruptObject, HoldfastError, InvalidRequest, ObjectNotFound, Unavailable
from storage.objects.checksum import md5_hex
from storage.objects.port import ObjectInfo
from storage.objects.settings import PARTS_MAX

T = TypeVar("T")


class Repeat(Protocol):
    """Runs blocking work in the store's threads, again while the store is unavailable."""

    async def __call__(self, doing: str, work: Callable[[], T]) -> T: ...


class _Multipart:
    """The steps that both share. `request` names bucket, key, metadata and content type."""

    def __init__(self, client: Any, repeat: Repeat, request: dict[str, Any], part_bytes: int) -> None:
        self._client = client
        self._repeat = repeat
        self._request = request
        self._part_bytes = part_bytes
        self._target = {"Bucket": request["Bucket"], "Key": request["Key"]}
        self._parts: list[dict[str, Any]] = []

    async def _begin(self) -> None:
        answer = await self._repeat(
            f"begin upload of {self._request['Key']}", lambda: self._client.create_multipart_upload(**self._request)
        )
        self._target["UploadId"] = answer["UploadId"]

    async def _complete(self) -> None:
        """Sent again when unanswered. A store may have forgotten an upload that is already complete: then the object
        itself says whether it is ours."""
        key = self._request["Key"]
        parts = {"Parts": self._parts}
        try:
            await self._repeat(
                f"complete upload of {key}",
                lambda: self._client.complete_multipart_upload(**self._target, MultipartUpload=parts),
            )
        except ObjectNotFound as error:
            location = {"Bucket": self._request["Bucket"], "Key": key}
            found = await self._repeat(f"head {key}", lambda: self._client.head_object(**location))
            if found["ETag"].strip('"') != multipart_etag([part["ETag"] for part in self._parts]):
                raise Unavailable(f"put {key}: the store lost the upload before it was complete") from error

    async def _abort(self) -> None:
        """Best effort: a bucket's lifecycle rules remove what an unreachable store keeps."""
        try:
            await self._repeat(
                f"abort upload of {self._request['Key']}", lambda: self._client.abort_multipart_upload(**self._target)
            )
        except HoldfastError:
            pass

    def _next_number(self) -> int:
        number = len(self._parts) + 1
        if number > PARTS_MAX:
            raise InvalidRequest(f"put {self._request['Key']}: more than {PARTS_MAX} parts of {self._part_bytes} bytes")
        return number


def multipart_etag(part_etags: list[str]) -> str:
    """ETag of a completed upload: MD5 over the parts' binary MD5s, and their number. Pure."""
    digests = b"".join(bytes.fromhex(etag.strip('"')) for etag in part_etags)
    return f"{md5_hex(digests)}-{len(part_etags)}"


class MultipartUpload(_Multipart):
    """One upload from a stream."""

    async def run(self, held: bytearray, chunks: AsyncIterator[bytes]) -> None:
        """Upload `held` and then what `chunks` still yields."""
        await self._begin()
        try:
            await self._send_full_parts(held)
            async for chunk in chunks:
                held += chunk
                await self._send_full_parts(held)
            if held:
                await self._send(bytes(held))
            await self._complete()
        except BaseException:
            await asyncio.shield(self._abort())
            raise

    async def _send_full_parts(self, held: bytearray) -> None:
        while len(held) >= self._part_bytes:
            body = bytes(held[: self._part_bytes])
            del held[: self._part_bytes]
            await self._send(body)

    async def _send(self, body: bytes) -> None:
        number = self._next_number()

        def work() -> str:
            etag = md5_hex(body)
            digest = base64.b64encode(bytes.fromhex(etag)).decode()
            answer = self._client.upload_part(**self._target, PartNumber=number, Body=body, ContentMD5=digest)
            if answer["ETag"].strip('"') != etag:
                raise CorruptObject(f"part {number} of {self._request['Key']}: etag {answer['ETag']}, MD5 is {etag}")
            return str(answer["ETag"])

        etag = await self._repeat(f"upload part {number} of {self._request['Key']}", work)
        self._parts.append({"PartNumber": number, "ETag": etag})


class MultipartCopy(_Multipart):
    """One copy inside the store, of an object beyond what one CopyObject takes."""

    async def run(self, source: str, info: ObjectInfo) -> None:
        """Copy `source`, whose head was `info`. Raises PreconditionFailed if it is replaced meanwhile."""
        await self._begin()
        try:
            for start in range(0, info.size, self._part_bytes):
                await self._copy_part(source, info, start)
            await self._complete()
        except BaseException:
            await asyncio.shield(self._abort())
            raise

    async def _copy_part(self, source: str, info: ObjectInfo, start: int) -> None:
        number = self._next_number()
        last = min(start + self._part_bytes, info.size) - 1
        answer = await self._repeat(
            f"copy part {number} of {source} to {self._request['Key']}",
            lambda: self._client.upload_part_copy(
                **self._target,
                PartNumber=number,
                CopySource={"Bucket": self._request["Bucket"], "Key": source},
                CopySourceIfMatch=f'"{info.etag}"',
                CopySourceRange=f"bytes={start}-{last}",
            ),
        )
        self._parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
