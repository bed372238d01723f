"""What the port promises, asked of every store: memory, local directory, SeaweedFS, moto, and any endpoint named in the
environment. Also the floor under rule 1: a conditional write has one winner."""

from __future__ import annotations

import asyncio
import hashlib
import random
import string
import time
import tracemalloc
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.errors import InvalidRequest, ObjectNotFound, PreconditionFailed
from storage.objects.port import ObjectInfo
from storage.objects.settings import MIB
from tests.storage.objects.conftest import MISSING, SERVERS
from tests.storage.objects.stores import SMALL_PARTS, Case

WEIRD_PARTS = [
    "with space",
    "ünïcode-日本",
    "per%20cent%2F",
    "plus+and&amp=?#;:@!$'()*,[]~",
    'quote"and<xml>&amp;',
    ".hidden",
    "...",
    "trailing.",
    "-dash",
    "a" * 255,
]

TRAVERSALS = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    "../a",
    "a/../b",
    "a/./b",
    "a/..",
    ".",
    "..",
    "a\x00b",
    "a\nb",
    "\udc80",
    "a\\b",
]

# SeaweedFS walks folders: `a/b` comes before `a-b`, and after `b` comes nothing of the folder `b/`. Inside one folder,
# where logs are listed, its order is that of the bytes.
LISTS_IN_TREE_ORDER = ("seaweedfs",)

METADATA_VALUES = st.text(
    string.ascii_letters + string.digits + string.punctuation + " ", min_size=1, max_size=40
).filter(lambda value: value == value.strip())
METADATA_KEYS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)


@pytest.mark.skipif(bool(MISSING), reason=f"no S3 endpoint of yours is tested: {' and '.join(MISSING)} not set")
def test_the_endpoint_named_in_the_environment_is_tested() -> None:
    assert any(server.values == ("endpoint",) for server in SERVERS)


async def test_a_stored_object_is_read_back_with_its_metadata(case: Case) -> None:
    key = case.key("a/b.json")
    before = time.time()
    put = await case.store.put(key, b"{}", metadata={"holdfast-put-id": "1"}, content_type="application/json")
    found = await case.store.get(key)
    assert found.body == b"{}"
    assert dict(found.info.metadata) == {"holdfast-put-id": "1"}
    assert found.info.content_type == "application/json"
    assert (found.info.key, found.info.size) == (key, 2)
    assert found.info.etag == put.etag == hashlib.md5(b"{}").hexdigest()
    assert abs(found.info.modified_at - before) < 3600
    assert await case.store.head(key) == found.info


async def test_an_empty_object_is_an_object(case: Case) -> None:
    await case.store.put(case.key("empty"), b"")
    assert (await case.store.get(case.key("empty"))).body == b""
    assert (await case.store.head(case.key("empty"))).size == 0


async def test_a_missing_object_is_not_found(case: Case) -> None:
    with pytest.raises(ObjectNotFound):
        await case.store.get(case.key("none"))
    with pytest.raises(ObjectNotFound):
        await case.store.head(case.key("none"))
    with pytest.raises(ObjectNotFound):
        async with case.store.open(case.key("none")):
            pass
    with pytest.raises(ObjectNotFound):
        await case.store.copy(case.key("none"), case.key("other"))


async def test_a_put_replaces_body_and_metadata(case: Case) -> None:
    key = case.key("a")
    await case.store.put(key, b"one", metadata={"only-first": "1", "both": "1"})
    await case.store.put(key, b"two", metadata={"both": "2"})
    found = await case.store.get(key)
    assert (found.body, dict(found.info.metadata)) == (b"two", {"both": "2"})
    await case.store.put(key, b"two")
    assert dict((await case.store.head(key)).metadata) == {}


async def test_create_only_succeeds_when_absent(case: Case) -> None:
    key = case.key("slot")
    await case.store.put(key, b"first", if_none_match="*")
    with pytest.raises(PreconditionFailed):
        await case.store.put(key, b"second", if_none_match="*")
    assert (await case.store.get(key)).body == b"first"


async def test_update_only_succeeds_on_the_current_etag(case: Case) -> None:
    key = case.key("state")
    first = await case.store.put(key, b"first")
    second = await case.store.put(key, b"second", if_match=first.etag)
    with pytest.raises(PreconditionFailed):
        await case.store.put(key, b"third", if_match=first.etag)
    assert (await case.store.get(key)).info.etag == second.etag


async def test_update_of_a_missing_object_is_refused(case: Case) -> None:
    with pytest.raises(PreconditionFailed):
        await case.store.put(case.key("none"), b"x", if_match="0" * 32)
    assert await case.keys() == []


async def test_two_conditions_or_malformed_ones_are_refused(case: Case) -> None:
    with pytest.raises(InvalidRequest):
        await case.store.put(case.key("a"), b"x", if_none_match="*", if_match="0" * 32)
    with pytest.raises(InvalidRequest):
        await case.store.put(case.key("a"), b"x", if_match='"quoted"')


async def test_readers_beside_writers_see_whole_objects(case: Case) -> None:
    key = case.key("busy")
    await case.store.put(key, b"0" * 4000, metadata={"n": "0"})
    writing = True

    async def write(digit: int) -> None:
        for _ in range(15):
            await case.store.put(key, b"%d" % digit * 4000, metadata={"n": str(digit)})

    async def read() -> None:
        while writing:
            found = await case.store.get(key)
            assert found.body == found.info.metadata["n"].encode() * 4000
            async with case.store.open(key) as stream:
                body = b"".join([chunk async for chunk in stream.chunks])
                assert body == stream.info.metadata["n"].encode() * 4000
            head = await case.store.head(key)
            assert head.etag == _md5(head.metadata["n"].encode() * 4000)
            (listed,) = (await case.page("busy")).objects
            assert listed.etag in {_md5(b"%d" % digit * 4000) for digit in range(4)}
            await asyncio.sleep(0)

    readers = [asyncio.create_task(read()) for _ in range(3)]
    await asyncio.gather(*(write(digit) for digit in range(1, 4)))
    writing = False
    await asyncio.gather(*readers)


async def test_of_many_creators_exactly_one_wins(case: Case) -> None:
    key = case.key("race")
    ends = await asyncio.gather(
        *(case.store.put(key, f"{n}".encode(), if_none_match="*") for n in range(12)), return_exceptions=True
    )
    winners = [end for end in ends if isinstance(end, ObjectInfo)]
    assert len(winners) == 1
    assert all(isinstance(end, (ObjectInfo, PreconditionFailed)) for end in ends)
    assert (await case.store.head(key)).etag == winners[0].etag


async def test_of_many_updates_on_one_etag_exactly_one_wins(case: Case) -> None:
    key = case.key("race")
    base = await case.store.put(key, b"base")
    ends = await asyncio.gather(
        *(case.store.put(key, f"{n}".encode(), if_match=base.etag) for n in range(12)), return_exceptions=True
    )
    assert sum(isinstance(end, ObjectInfo) for end in ends) == 1
    assert all(isinstance(end, (ObjectInfo, PreconditionFailed)) for end in ends)


async def test_a_deleted_object_is_gone_and_deleting_again_is_no_error(case: Case) -> None:
    key = case.key("a/b")
    await case.store.put(key, b"x", metadata={"k": "v"})
    await case.store.delete(key)
    await case.store.delete(key)
    with pytest.raises(ObjectNotFound):
        await case.store.head(key)
    assert await case.keys() == []
    await case.store.put(key, b"x", if_none_match="*")
    assert dict((await case.store.head(key)).metadata) == {}


async def test_listing_is_in_byte_order_of_whole_keys(case: Case) -> None:
    names = ["a-b", "a.txt", "a/b", "a/b-c/d", "a/b.x", "a0", "A", "b", "ä", "z/\U0001f600", "z/\uffee"]
    for name in random.Random(3).sample(names, len(names)):
        await case.store.put(case.key(name), b"x")
    if case.name in LISTS_IN_TREE_ORDER:
        assert sorted(await case.keys()) == sorted(names)
    else:
        assert await case.keys() == sorted(names, key=str.encode)
    assert await case.keys("a/") == ["a/b", "a/b-c/d", "a/b.x"]
    assert await case.keys("a/b") == ["a/b", "a/b-c/d", "a/b.x"]
    assert await case.keys("a/b/") == []


async def test_pages_cover_every_key_once(case: Case) -> None:
    names = [f"log/{level:04x}/{n:016x}.ltx" for level in (0, 9) for n in range(1, 8)]
    await asyncio.gather(*(case.store.put(case.key(name), b"x") for name in names))
    for limit in (1, 3, 7, 14, 15):
        seen: list[str] = []
        after: str | None = ""
        while after is not None:
            page = await case.store.list(case.key("log/"), start_after=after, limit=limit)
            assert len(page.objects) <= limit
            seen += [info.key for info in page.objects]
            after = page.next_start_after
        assert seen == [case.key(name) for name in sorted(names)]


async def test_start_after_need_not_exist_and_excludes_itself(case: Case) -> None:
    for name in ("a", "b/1", "b/2", "c"):
        await case.store.put(case.key(name), b"x")
    assert await case.keys(start_after="b/1") == ["b/2", "c"]
    assert await case.keys(start_after="b/10") == ["b/2", "c"]
    if case.name not in LISTS_IN_TREE_ORDER:
        assert await case.keys(start_after="b") == ["b/1", "b/2", "c"]
    assert await case.keys(start_after="b/~") == ["c"]
    assert await case.keys(start_after="d") == []
    assert await case.keys("b/", start_after="a") == ["b/1", "b/2"]


async def test_a_listing_shows_size_etag_and_the_stores_own_time(case: Case) -> None:
    put = await case.store.put(case.key("a"), b"body", metadata={"k": "v"})
    page = await case.page()
    (info,) = page.objects
    assert (info.size, info.etag, dict(info.metadata)) == (4, put.etag, {})
    assert page.next_start_after is None
    assert -5 < page.store_time - info.modified_at < 60


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_listing_limit_out_of_bounds_is_refused(case: Case, limit: int) -> None:
    with pytest.raises(InvalidRequest):
        await case.store.list("", limit=limit)


async def test_weird_keys_are_kept_as_they_are(case: Case) -> None:
    for part in WEIRD_PARTS:
        key = case.key(f"weird/{part}/{part}")
        await case.store.put(key, part.encode(), metadata={"k": "v"})
        assert (await case.store.get(key)).body == part.encode()
        assert (await case.store.copy(key, case.key(f"copy/{part}"))).size == len(part.encode())
    found = [key.split("/")[1] for key in await case.keys("weird/")]
    assert sorted(found) == sorted(WEIRD_PARTS)


@pytest.mark.parametrize("key", [*TRAVERSALS, "a" * 256, "a/" * 600 + "a", ".holdfast/x", "a/.holdfast-meta.b"])
async def test_a_key_that_names_no_object_is_refused_everywhere(case: Case, key: str) -> None:
    store = case.store

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    for attempt in (
        store.get(key),
        store.head(key),
        store.put(key, b"x"),
        store.put_stream(key, chunks()),
        store.delete(key),
        store.copy(key, case.key("a")),
    ):
        with pytest.raises(InvalidRequest):
            await attempt
    with pytest.raises(InvalidRequest):
        async with store.open(key):
            pass
    with pytest.raises(InvalidRequest):
        store.presign_get(key, expires_s=10)


@pytest.mark.parametrize("prefix", ["../", "a/../b", "/", "a//", "a\x00"])
async def test_a_prefix_that_leads_nowhere_is_refused(case: Case, prefix: str) -> None:
    with pytest.raises(InvalidRequest):
        await case.store.list(prefix)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metadata=st.dictionaries(METADATA_KEYS, METADATA_VALUES, max_size=8))
async def test_metadata_survives_unchanged(case: Case, metadata: dict[str, str]) -> None:
    await case.store.put(case.key("m"), b"x", metadata=metadata)
    assert dict((await case.store.head(case.key("m"))).metadata) == metadata
    assert dict((await case.store.get(case.key("m"))).info.metadata) == metadata


@pytest.mark.parametrize(
    "metadata",
    [{"Upper": "x"}, {"": "x"}, {"k": "ü"}, {"k": "a\nb"}, {"k": " x"}, {"k": ""}, {"k": "x" * 2048}, {"a b": "x"}],
)
async def test_metadata_that_some_store_would_change_is_refused(case: Case, metadata: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        await case.store.put(case.key("m"), b"x", metadata=metadata)


async def test_a_copy_keeps_metadata_unless_given(case: Case) -> None:
    source = case.key("source")
    await case.store.put(source, b"body", metadata={"k": "v"}, content_type="video/mp4")
    kept = await case.store.copy(source, case.key("kept"))
    changed = await case.store.copy(source, case.key("changed"), metadata={"other": "w"})
    assert (dict(kept.metadata), kept.content_type, kept.etag) == ({"k": "v"}, "video/mp4", _md5(b"body"))
    assert (dict(changed.metadata), changed.content_type) == ({"other": "w"}, "video/mp4")
    assert (await case.store.get(case.key("changed"))).body == b"body"
    assert dict((await case.store.copy(source, source, metadata={"new": "1"})).metadata) == {"new": "1"}


@pytest.mark.parametrize("size", [0, 1, 3 * MIB, 13 * MIB + 1])
async def test_a_stream_is_stored_whole_and_read_in_chunks(case: Case, size: int) -> None:
    body = random.Random(size).randbytes(size)
    info = await case.store.put_stream(
        case.key("big"), _pieces(body, 700_001), metadata={"k": "v"}, content_type="video/mp4"
    )
    assert (info.size, dict(info.metadata), info.content_type) == (size, {"k": "v"}, "video/mp4")
    found = bytearray()
    async with case.store.open(case.key("big"), chunk_bytes=1 << 20) as stream:
        assert stream.info == await case.store.head(case.key("big"))
        async for chunk in stream.chunks:
            assert 0 < len(chunk) <= 1 << 20
            found += chunk
    assert found == body
    assert (await case.store.get(case.key("big"))).body == body


@pytest.mark.parametrize("case", [pytest.param("local"), *SERVERS], indirect=True)
async def test_large_objects_pass_through_little_memory(case: Case) -> None:
    size = 48 * MIB
    bound = 8 * MIB + 4 * SMALL_PARTS  # what is held before an upload goes multipart, and parts on their way

    async def chunks() -> AsyncIterator[bytes]:
        for n in range(size // MIB):
            yield bytes([n]) * MIB

    tracemalloc.start()
    try:
        await case.store.put_stream(case.key("big"), chunks())
        uploaded = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        read = 0
        async with case.store.open(case.key("big")) as stream:
            async for chunk in stream.chunks:
                assert chunk[0] == read // MIB
                read += len(chunk)
        downloaded = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read == size
    assert uploaded < bound
    assert downloaded < 16 * MIB


@pytest.mark.parametrize("size", [1 * MIB, 9 * MIB])
async def test_a_stream_that_breaks_leaves_the_old_object(case: Case, size: int) -> None:
    await case.store.put(case.key("a"), b"old")

    async def broken() -> AsyncIterator[bytes]:
        for _ in range(size // MIB):
            yield bytes(MIB)
        raise RuntimeError("the sender went away")

    with pytest.raises(RuntimeError):
        await case.store.put_stream(case.key("a"), broken())
    with pytest.raises(RuntimeError):
        await case.store.put_stream(case.key("b"), broken())
    assert (await case.store.get(case.key("a"))).body == b"old"
    assert await case.keys() == ["a"]


async def test_a_download_may_be_left_in_the_middle(case: Case) -> None:
    await case.store.put(case.key("a"), bytes(3 * MIB))
    for _ in range(3):
        async with case.store.open(case.key("a"), chunk_bytes=1000) as stream:
            assert await anext(stream.chunks) == bytes(1000)
    assert (await case.store.head(case.key("a"))).size == 3 * MIB


@pytest.mark.parametrize("expires_s", [0, -1, 604_801])
async def test_a_presigned_link_out_of_bounds_is_refused(case: Case, expires_s: int) -> None:
    with pytest.raises(InvalidRequest):
        case.store.presign_get(case.key("a"), expires_s=expires_s)


@pytest.mark.parametrize("case", SERVERS, indirect=True)
async def test_presigned_links_work_without_credentials(case: Case) -> None:
    key = case.key("direct upload/ü.mp4")
    async with httpx.AsyncClient(trust_env=False) as client:
        url = case.store.presign_put(key, expires_s=60, content_type="video/mp4")
        answer = await client.put(url, content=b"body", headers={"Content-Type": "video/mp4"})
        assert answer.status_code == 200, answer.text
        read = await client.get(case.store.presign_get(key, expires_s=60))
        assert (read.status_code, read.content, read.headers["content-type"]) == (200, b"body", "video/mp4")
    assert (await case.store.head(key)).etag == _md5(b"body")


def _md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


async def _pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]
