"""The S3 adapter on an unreliable network: what is repeated, what is sent once, and what goes over the wire."""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import boto3
import pytest

from storage.clock import SystemClock
from storage.errors import (
    CorruptObject,
    InvalidRequest,
    ObjectNotFound,
    OutcomeUnknown,
    PreconditionFailed,
    StoreRefused,
    Unavailable,
)
from storage.objects.checksum import md5_hex
from storage.objects.s3 import S3Store, _info
from storage.objects.settings import MIB, S3Settings
from tests.servers import S3Server, free_ports
from tests.storage.objects.stores import SMALL_PARTS, QuickClock
from tests.storage.objects.unreliable import Fate, UnreliableProxy, unreliable_proxy

pytestmark = pytest.mark.system


@dataclass(frozen=True, slots=True)
class Bench:
    """A store that reaches its bucket through a proxy."""

    store: S3Store
    proxy: UnreliableProxy
    server: S3Server
    bucket: str


@pytest.fixture(scope="module")
def bucket(moto: S3Server) -> str:
    return moto.new_bucket()


@pytest.fixture
async def bench(moto: S3Server, bucket: str) -> AsyncIterator[Bench]:
    async with unreliable_proxy(moto.endpoint) as proxy:
        settings = S3Settings(
            bucket=bucket,
            endpoint=proxy.endpoint,
            region=moto.region,
            read_timeout_s=0.5,
            attempts_max=4,
            threads_max=4,
            multipart_above_bytes=8 * MIB,
            part_bytes=SMALL_PARTS,
            copy_bytes_max=6 * MIB,
            copy_part_bytes=SMALL_PARTS,
        )
        store = S3Store(settings, QuickClock(), random.Random(5), session=moto.session())
        yield Bench(store, proxy, moto, bucket)
        await store.close()


TRANSIENT = [Fate.LOSE_REQUEST, Fate.LOSE_ANSWER, Fate.ANSWER_500, Fate.ANSWER_503, Fate.ANSWER_429, Fate.STALL]


async def test_a_put_goes_out_as_r2_needs_it(bench: Bench) -> None:
    await bench.store.put("dev/a", b"body", metadata={"k": "v"}, if_none_match=None)
    (request,) = bench.proxy.sent("PUT")
    names = {name.lower() for name, _ in request.headers}
    assert request.target == f"/{bench.bucket}/dev/a"
    assert request.body == b"body"
    assert "expect" not in names
    assert "transfer-encoding" not in names
    assert not [name for name in names if "checksum" in name or "trailer" in name]
    assert request.header("content-encoding") is None
    assert request.header("content-md5") == base64.b64encode(bytes.fromhex(md5_hex(b"body"))).decode()
    await bench.store.get("dev/a")
    assert bench.proxy.sent("GET")[0].header("x-amz-checksum-mode") is None


@pytest.mark.parametrize("fate", TRANSIENT)
async def test_whatever_may_happen_twice_is_repeated(bench: Bench, fate: Fate) -> None:
    store, proxy = bench.store, bench.proxy
    proxy.then([fate, fate])
    await store.put("dev/again", b"body", metadata={"k": "v"})
    assert len(proxy.sent("PUT")) == 3
    proxy.then([fate], "GET")
    assert (await store.get("dev/again")).body == b"body"
    proxy.then([fate], "GET")
    async with store.open("dev/again") as stream:
        assert [chunk async for chunk in stream.chunks] == [b"body"]
    proxy.then([fate], "GET")
    assert [info.key for info in (await store.list("dev/again")).objects] == ["dev/again"]
    proxy.then([fate], "HEAD")
    assert (await store.head("dev/again")).size == 4
    proxy.then([fate])
    assert (await store.copy("dev/again", "dev/copied")).etag == md5_hex(b"body")
    proxy.then([fate], "DELETE")
    await store.delete("dev/again")
    with pytest.raises(ObjectNotFound):
        await store.head("dev/again")


@pytest.mark.parametrize("fate", TRANSIENT)
async def test_repeating_ends_after_a_bounded_number_of_attempts(bench: Bench, fate: Fate) -> None:
    bench.proxy.then([fate] * 10, "GET")
    with pytest.raises(Unavailable, match="get dev/a in bucket"):
        await bench.store.get("dev/a")
    assert len(bench.proxy.sent("GET")) == 4


@pytest.mark.parametrize(
    "fate", [Fate.LOSE_REQUEST, Fate.LOSE_ANSWER, Fate.FAIL_AFTER, Fate.ANSWER_500, Fate.ANSWER_503, Fate.STALL]
)
async def test_an_unanswered_conditional_put_is_unknown_and_sent_once(bench: Bench, fate: Fate) -> None:
    key = f"dev/once/{fate.name}"
    bench.proxy.then([fate] * 3)
    with pytest.raises(OutcomeUnknown):
        await bench.store.put(key, b"x", if_none_match="*")
    with pytest.raises(OutcomeUnknown):
        await bench.store.put(key, b"x", if_match="0" * 32)
    assert len(bench.proxy.sent("PUT")) == 2
    assert bench.proxy.sent("PUT")[0].header("if-none-match") == "*"
    assert bench.proxy.sent("PUT")[1].header("if-match") == f'"{"0" * 32}"'


@pytest.mark.parametrize("fate", [Fate.ANSWER_429, Fate.ANSWER_409])
async def test_a_refused_conditional_put_is_unavailable_not_unknown(bench: Bench, fate: Fate) -> None:
    bench.proxy.then([fate])
    with pytest.raises(Unavailable) as caught:
        await bench.store.put("dev/refused", b"x", if_none_match="*")
    assert type(caught.value) is Unavailable
    assert len(bench.proxy.sent("PUT")) == 1


async def test_a_conditional_put_that_never_left_is_unavailable_not_unknown(moto: S3Server) -> None:
    settings = S3Settings(bucket="b", endpoint=f"http://127.0.0.1:{free_ports(1)[0]}", attempts_max=2)
    store = S3Store(settings, QuickClock(), random.Random(1), session=moto.session())
    with pytest.raises(Unavailable) as caught:
        await store.put("dev/a", b"x", if_none_match="*")
    assert type(caught.value) is Unavailable
    await store.close()


async def test_a_body_that_breaks_off_or_differs_is_never_handed_out(bench: Bench) -> None:
    body = random.Random(1).randbytes(100_000)
    await bench.store.put("dev/body", body)
    bench.proxy.then([Fate.BREAK_BODY], "GET")
    assert (await bench.store.get("dev/body")).body == body
    bench.proxy.then([Fate.FLIP_BODY], "GET")
    with pytest.raises(CorruptObject):
        await bench.store.get("dev/body")
    bench.proxy.then([Fate.BREAK_BODY], "GET")
    with pytest.raises(Unavailable):
        await _download(bench.store, "dev/body")
    bench.proxy.then([Fate.FLIP_BODY], "GET")
    with pytest.raises(CorruptObject):
        await _download(bench.store, "dev/body")


async def test_refused_credentials_say_so_and_are_not_repeated(bench: Bench) -> None:
    bench.proxy.then([Fate.ANSWER_403] * 2)
    with pytest.raises(StoreRefused, match=r"put dev/a in bucket .*403 AccessDenied"):
        await bench.store.put("dev/a", b"x")
    with pytest.raises(StoreRefused):
        await bench.store.put("dev/a", b"x", if_none_match="*")
    assert len(bench.proxy.sent("PUT")) == 2


async def test_missing_credentials_say_so(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    settings = S3Settings(bucket="b", endpoint=moto.endpoint)
    store = S3Store(settings, QuickClock(), random.Random(1), session=boto3.Session())
    with pytest.raises(StoreRefused, match="credentials"):
        await store.get("dev/a")
    with pytest.raises(StoreRefused, match="credentials"):
        store.presign_get("dev/a", expires_s=10)
    await store.close()


async def test_a_missing_bucket_is_for_the_operator(moto: S3Server) -> None:
    settings = S3Settings(bucket="no-such-bucket", endpoint=moto.endpoint)
    store = S3Store(settings, SystemClock(), random.Random(1), session=moto.session())
    for attempt in (
        store.list(""),
        store.get("dev/a"),
        store.put("dev/a", b"x"),
        store.put("dev/a", b"x", if_none_match="*"),
    ):
        with pytest.raises(StoreRefused, match="NoSuchBucket"):
            await attempt
    await store.close()


async def test_a_large_stream_goes_in_equal_parts_and_survives_lost_answers(bench: Bench) -> None:
    body = random.Random(2).randbytes(13 * MIB)
    bench.proxy.then([Fate.LOSE_ANSWER, Fate.PASS, Fate.ANSWER_500])
    info = await bench.store.put_stream("dev/parts", _pieces(body), metadata={"k": "v"})
    sizes = [len(request.body) for request in bench.proxy.sent("PUT")]
    assert sorted(set(sizes)) == [3 * MIB, SMALL_PARTS]
    assert info.etag.endswith("-3")
    assert await _download(bench.store, "dev/parts") == body


async def test_an_upload_whose_completion_was_carried_out_unseen_is_complete(bench: Bench) -> None:
    body = random.Random(3).randbytes(9 * MIB)
    bench.proxy.then([Fate.PASS, Fate.LOSE_ANSWER], "POST")
    info = await bench.store.put_stream("dev/unseen", _pieces(body))
    assert len(bench.proxy.sent("POST")) == 3
    assert info.size == len(body)


async def test_an_upload_that_fails_is_aborted(bench: Bench) -> None:
    client = bench.server.client()
    bench.proxy.then([Fate.PASS] + [Fate.ANSWER_500] * 10)
    with pytest.raises(Unavailable):
        await bench.store.put_stream("dev/aborted", _pieces(bytes(13 * MIB)))

    async def broken() -> AsyncIterator[bytes]:
        yield bytes(9 * MIB)
        raise RuntimeError("the sender went away")

    bench.proxy.then([])
    with pytest.raises(RuntimeError):
        await bench.store.put_stream("dev/aborted", broken())
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bench.bucket)
    assert (await bench.store.list("dev/aborted")).objects == ()
    client.close()


async def test_an_object_beyond_one_copy_request_is_copied_in_parts(bench: Bench) -> None:
    body = random.Random(4).randbytes(12 * MIB)
    await bench.store.put_stream("dev/source", _pieces(body), metadata={"k": "v"}, content_type="video/mp4")
    bench.proxy.then([Fate.ANSWER_503])
    info = await bench.store.copy("dev/source", "dev/target")
    assert (dict(info.metadata), info.content_type, info.size) == ({"k": "v"}, "video/mp4", len(body))
    assert not any(request.body for request in bench.proxy.sent("PUT"))
    assert await _download(bench.store, "dev/target") == body


async def test_the_clock_of_a_listing_is_the_stores_date_header(bench: Bench) -> None:
    page = await bench.store.list("dev/")
    assert page.store_time == int(page.store_time)
    assert abs(page.store_time - SystemClock().wall()) < 60


async def test_folder_markers_of_other_tools_are_not_listed(bench: Bench) -> None:
    client = bench.server.client()
    for key in ("marked/", "marked/a", "marked/b//c"):
        client.put_object(Bucket=bench.bucket, Key=key, Body=b"")
    client.close()
    assert [info.key for info in (await bench.store.list("marked/")).objects] == ["marked/a"]
    page = await bench.store.list("marked/", limit=1)
    assert (page.objects, page.next_start_after) == ((), "marked/")


def test_metadata_keys_are_lower_case_whatever_the_server_sends() -> None:
    head = {"ContentLength": 1, "LastModified": datetime.now(UTC), "ETag": '"x"', "Metadata": {"Holdfast-Put-Id": "P"}}
    assert dict(_info("a", head).metadata) == {"holdfast-put-id": "P"}


async def test_a_stale_pooled_connection_is_no_error_for_reads(bench: Bench) -> None:
    await bench.store.put("dev/a", b"x")
    bench.proxy.then([Fate.LOSE_REQUEST] * 3, "GET")
    assert (await bench.store.get("dev/a")).body == b"x"


async def test_a_bad_metadata_or_condition_never_reaches_the_network(bench: Bench) -> None:
    bench.proxy.then([])
    with pytest.raises(InvalidRequest):
        await bench.store.put("dev/a", b"x", metadata={"k": "ü"})
    with pytest.raises(InvalidRequest):
        await bench.store.put("dev/a", b"x", if_match="a", if_none_match="*")
    assert bench.proxy.requests == []


async def test_a_stale_etag_on_a_missing_key_is_a_failed_precondition(bench: Bench) -> None:
    with pytest.raises(PreconditionFailed):
        await bench.store.put("dev/none", b"x", if_match="0" * 32)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), MIB):
        yield body[start : start + MIB]


async def _download(store: S3Store, key: str) -> bytes:
    async with store.open(key, chunk_bytes=10_000) as stream:
        return b"".join([chunk async for chunk in stream.chunks])
