"""Multipart uploads: their ETag, and one that the store lost (whole uploads: conformance and test_s3.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest

from storage.errors import ObjectNotFound, Unavailable
from storage.objects.checksum import md5_hex
from storage.objects.s3_multipart import MultipartUpload, multipart_etag
from tests.servers import S3Server

T = TypeVar("T")


class ForgetfulClient:
    """An S3 client whose uploads are gone when they are to be completed."""

    def __init__(self, etag: str) -> None:
        self.etag = etag
        self.aborted = 0

    def create_multipart_upload(self, **_: Any) -> dict[str, str]:
        return {"UploadId": "u"}

    def upload_part(self, *, Body: bytes, **_: Any) -> dict[str, str]:
        return {"ETag": f'"{md5_hex(Body)}"'}

    def complete_multipart_upload(self, **_: Any) -> None:
        raise ObjectNotFound("no such upload")

    def head_object(self, **_: Any) -> dict[str, str]:
        return {"ETag": f'"{self.etag}"'}

    def abort_multipart_upload(self, **_: Any) -> None:
        self.aborted += 1


async def once(doing: str, work: Callable[[], T]) -> T:
    return work()


async def nothing_more() -> AsyncIterator[bytes]:
    return
    yield b""


async def upload(client: ForgetfulClient) -> None:
    request = {"Bucket": "b", "Key": "a", "Metadata": {}}
    await MultipartUpload(client, once, request, 4).run(bytearray(b"123456789"), nothing_more())


async def test_a_completed_upload_that_was_forgotten_is_recognised_by_its_etag() -> None:
    client = ForgetfulClient(multipart_etag([md5_hex(part) for part in (b"1234", b"5678", b"9")]))
    await upload(client)
    assert client.aborted == 0


async def test_an_upload_that_was_lost_is_an_error_and_aborted() -> None:
    client = ForgetfulClient(md5_hex(b"an older object"))
    with pytest.raises(Unavailable, match="lost the upload"):
        await upload(client)
    assert client.aborted == 1


@pytest.mark.system
def test_the_etag_of_an_upload_is_the_one_servers_give(moto: S3Server) -> None:
    client = moto.client()
    target = {"Bucket": moto.new_bucket(), "Key": "a"}
    target["UploadId"] = client.create_multipart_upload(**target)["UploadId"]
    parts = []
    for number, body in enumerate((bytes(5 << 20), b"end"), start=1):
        parts.append({"PartNumber": number, "ETag": client.upload_part(**target, PartNumber=number, Body=body)["ETag"]})
    answer = client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts})
    assert answer["ETag"].strip('"') == multipart_etag([part["ETag"] for part in parts])
    client.close()
