"""Presigned links: one method, one key, until they expire."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from storage.layout.media_move import MediaMove, encode_media_move, media_move_key
from storage.layout.move_record import MoveRecord, MoveState, encode_record, record_key, user_unit
from storage.objects.counting import CountingStore
from storage.objects.memory import MemoryStore
from storage.objects.presign import LinkSigner
from tests.gateway.kit import BASE_URL, LINK_SECRET, Bench, SetClock, assert_problem, bench

KEY = "dev/users/alice/profiles/p1/raw_clips/a b.mp4"


def link(gateway: Bench, method: str, key: str = KEY, **options: object) -> str:
    signer = LinkSigner(LINK_SECRET, BASE_URL)
    return signer.url(method, key, gateway.clock.wall(), expires_s=60, **options)  # type: ignore[arg-type]


async def test_what_a_link_wrote_another_reads(gateway: Bench) -> None:
    body = bytes(range(256)) * 1000
    written = await gateway.client.put(link(gateway, "PUT"), content=body)
    assert written.status_code == 200
    assert written.json()["size"] == len(body)
    assert (await gateway.store.get(KEY)).body == body
    read = await gateway.client.get(link(gateway, "GET"))
    assert read.content == body
    assert read.headers["content-length"] == str(len(body))
    assert read.headers["etag"] == written.headers["etag"]
    assert read.headers["content-type"] == "video/mp4"
    head = await gateway.client.head(link(gateway, "GET"))
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(body)))


async def test_links_of_the_store_itself_are_served() -> None:
    clock = SetClock()
    store = MemoryStore(clock, links=LinkSigner(LINK_SECRET, BASE_URL))
    async with bench(store=store, clock=clock) as gateway:
        assert (await gateway.client.put(store.presign_put(KEY, expires_s=60), content=b"x")).status_code == 200
        assert (await gateway.client.get(store.presign_get(KEY, expires_s=60))).content == b"x"


async def test_a_link_needs_no_token() -> None:
    async with bench(token="s3cret") as gateway:
        assert (await gateway.client.put(link(gateway, "PUT"), content=b"x")).status_code == 200
        assert_problem(await gateway.client.get(f"/v1/objects/{KEY}"), 403, "invalid_link")


async def test_a_link_allows_nothing_else(gateway: Bench) -> None:
    await gateway.store.put(KEY, b"secret")
    await gateway.store.put("dev/users/bob/x", b"secret")
    query = urlsplit(link(gateway, "GET")).query
    assert_problem(await gateway.client.put(link(gateway, "GET"), content=b"x"), 403, "invalid_link")
    assert_problem(await gateway.client.get(link(gateway, "PUT")), 403, "invalid_link")
    assert_problem(await gateway.client.get(f"/v1/objects/dev/users/bob/x?{query}"), 403, "invalid_link")
    assert_problem(await gateway.client.get(link(gateway, "GET")[:-1]), 403, "invalid_link")
    assert_problem(await gateway.client.get(f"/v1/objects/{KEY}"), 403, "invalid_link")
    assert_problem(await gateway.client.delete(link(gateway, "GET")), 405, "method_not_allowed")


async def test_a_link_ends(gateway: Bench) -> None:
    await gateway.store.put(KEY, b"x")
    url = link(gateway, "GET")
    gateway.clock.advance(59)
    assert (await gateway.client.get(url)).status_code == 200
    gateway.clock.advance(1)
    assert_problem(await gateway.client.get(url), 403, "expired_link")


async def test_bound_content_type_must_be_sent(gateway: Bench) -> None:
    url = link(gateway, "PUT", content_type="video/mp4")
    refused = await gateway.client.put(url, content=b"x", headers={"content-type": "text/html"})
    assert_problem(refused, 403, "invalid_link")
    taken = await gateway.client.put(url, content=b"x", headers={"content-type": "video/mp4"})
    assert taken.status_code == 200


async def test_missing_object_is_a_404(gateway: Bench) -> None:
    assert_problem(await gateway.client.get(link(gateway, "GET")), 404, "object_not_found")


async def test_upload_is_bounded_and_leaves_nothing_behind() -> None:
    async with bench(object_bytes_max=1000) as gateway:
        assert_problem(await gateway.client.put(link(gateway, "PUT"), content=b"x" * 1001), 413, "body_too_large")
        assert (await gateway.store.list("")).objects == ()


@pytest.mark.parametrize("name", ["x.html", "x.svg", "x.js", "x", "x.pdf"])
async def test_what_was_stored_is_never_a_page_of_ours(gateway: Bench, name: str) -> None:
    await gateway.store.put(f"dev/{name}", b"<script>")
    response = await gateway.client.get(link(gateway, "GET", f"dev/{name}"))
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == "attachment"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]


# ---- keys of older layouts

OLD_KEY = "alice/raw_clips/a b.mp4"


async def put_record(gateway: Bench, state: MoveState) -> None:
    record = MoveRecord(state, "p1", "run", "2026-01-01")
    await gateway.store.put(record_key("dev", user_unit("alice")), encode_record(record))


async def test_an_old_link_leads_to_the_new_place_until_the_layout_is_finalized(gateway: Bench) -> None:
    await gateway.store.put(OLD_KEY, b"old")
    await gateway.store.put(KEY, b"new")
    for state, found in ((MoveState.COPYING, b"old"), (MoveState.SWITCHED, b"new"), (MoveState.FINALIZED, b"old")):
        await put_record(gateway, state)
        gateway.clock.advance(31)
        assert (await gateway.client.get(link(gateway, "GET", OLD_KEY))).content == found, state
        assert (await gateway.client.head(link(gateway, "GET", OLD_KEY))).headers["content-length"] == "3"


async def test_an_upload_by_an_old_link_goes_where_it_counts_from_the_moment_of_the_switch(gateway: Bench) -> None:
    await put_record(gateway, MoveState.COPYING)
    assert (await gateway.client.put(link(gateway, "PUT", OLD_KEY), content=b"1")).status_code == 200
    await put_record(gateway, MoveState.SWITCHED)
    assert (await gateway.client.put(link(gateway, "PUT", OLD_KEY), content=b"2")).status_code == 200
    assert [(await gateway.store.get(key)).body for key in (OLD_KEY, KEY)] == [b"1", b"2"]


async def test_the_link_of_a_moved_medium_leads_to_the_project(gateway: Bench) -> None:
    old, new = "holiday.mp4", "users/alice/projects/p/output/holiday.mp4"
    await gateway.store.put(new, b"x")
    move = MediaMove(old, new, 1, "etag", switched=True)
    await gateway.store.put(media_move_key("dev", old, new), encode_media_move(move))
    assert (await gateway.client.get(link(gateway, "GET", old))).content == b"x"


async def test_an_old_link_does_not_lead_to_a_database(gateway: Bench) -> None:
    await put_record(gateway, MoveState.SWITCHED)
    await gateway.store.put("dev/users/alice/profiles/p1/database.sqlite", b"secret")
    assert_problem(await gateway.client.get(link(gateway, "GET", "alice/database.sqlite")), 404, "object_not_found")


async def test_todays_keys_cost_no_look_at_the_moves() -> None:
    clock = SetClock()
    store = CountingStore(MemoryStore(clock))
    async with bench(store=store, clock=clock) as gateway:
        await gateway.client.put(link(gateway, "PUT"), content=b"x")
        await gateway.client.get(link(gateway, "GET"))
        assert store.counts.operations.keys().isdisjoint({"list", "get"})
        await gateway.client.get(link(gateway, "GET", OLD_KEY))
        assert store.counts.operations["get"] > 0
