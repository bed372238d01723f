"""The endpoints of a user's profiles."""

from __future__ import annotations

import msgspec
import pytest

from tests.gateway.kit import Bench, assert_problem, bench

ALICE = "/v1/users/alice"


async def stored(gateway: Bench, name: str) -> object:
    return msgspec.json.decode((await gateway.store.get(f"dev/users/alice/{name}")).body)


async def test_first_look_at_a_user_creates_a_nameless_default(gateway: Bench) -> None:
    body = (await gateway.client.get(f"{ALICE}/profiles")).json()
    [profile] = body["profiles"]
    assert body == {"default": profile, "selected": profile, "profiles": {profile: {"name": None}}}
    assert await stored(gateway, "profiles.json") == {"default": profile, "profiles": {profile: {"name": None}}}
    assert await stored(gateway, "selected-profile.json") == {"profileId": profile}


@pytest.mark.parametrize(("body", "name"), [({}, None), ({"name": None}, None), ({"name": "  Anna "}, "Anna")])
async def test_a_created_profile_is_listed_and_not_selected(gateway: Bench, body: object, name: str | None) -> None:
    response = await gateway.client.post(f"{ALICE}/profiles", json=body)
    assert response.status_code == 201
    profile = response.json()["id"]
    assert response.json() == {"id": profile, "name": name}
    assert response.headers["location"] == f"{ALICE}/profiles/{profile}"
    listed = (await gateway.client.get(f"{ALICE}/profiles")).json()
    assert listed["profiles"][profile] == {"name": name}
    assert listed["selected"] == listed["default"] != profile


async def test_a_body_needs_no_content_type(gateway: Bench) -> None:
    body = b'{"name": "Anna"}'
    for content_type in ("application/x-www-form-urlencoded", "text/plain"):
        headers = {"content-type": content_type}
        assert (await gateway.client.post(f"{ALICE}/profiles", content=body, headers=headers)).status_code == 201


async def test_renaming_keeps_everything_else(gateway: Bench) -> None:
    default = (await gateway.client.get(f"{ALICE}/profiles")).json()["default"]
    response = await gateway.client.patch(f"{ALICE}/profiles/{default}", json={"name": "Main"})
    assert response.json() == {"id": default, "name": "Main"}
    listed = (await gateway.client.get(f"{ALICE}/profiles")).json()
    assert listed == {"default": default, "selected": default, "profiles": {default: {"name": "Main"}}}


async def test_selection_moves_the_paths_without_a_profile_at_once(gateway: Bench) -> None:
    await gateway.client.post(f"{ALICE}/sql", content=b"{}")
    other = (await gateway.client.post(f"{ALICE}/profiles", json={})).json()["id"]
    response = await gateway.client.put(f"{ALICE}/selected-profile", json={"profileId": other})
    assert response.json() == {"profileId": other}
    await gateway.client.post(f"{ALICE}/sql", content=b"{}")
    assert gateway.router.asked[1].address.profile == other
    assert (await gateway.client.get(f"{ALICE}/selected-profile")).json() == {"profileId": other}
    assert await stored(gateway, "selected-profile.json") == {"profileId": other}


async def test_me_has_the_same_endpoints(gateway: Bench) -> None:
    me = {"X-User-ID": "alice"}
    listed = (await gateway.client.get("/v1/me/profiles", headers=me)).json()
    assert listed == (await gateway.client.get(f"{ALICE}/profiles")).json()
    created = await gateway.client.post("/v1/me/profiles", json={"name": "B"}, headers=me)
    assert created.headers["location"] == f"/v1/me/profiles/{created.json()['id']}"
    assert (await gateway.client.delete(f"/v1/me/profiles/{created.json()['id']}", headers=me)).status_code == 200


async def test_unknown_fields_of_the_document_are_shown(gateway: Bench) -> None:
    await gateway.store.put(
        "dev/users/alice/profiles.json", b'{"default":"aaaaaaaa","profiles":{"aaaaaaaa":{"name":null,"x":[1]}},"v":2}'
    )
    assert (await gateway.client.get(f"{ALICE}/profiles")).json() == {
        "default": "aaaaaaaa",
        "selected": "aaaaaaaa",
        "profiles": {"aaaaaaaa": {"name": None, "x": [1]}},
        "v": 2,
    }


async def test_profiles_per_user_are_bounded() -> None:
    async with bench(profiles_max=2) as gateway:
        assert (await gateway.client.post(f"{ALICE}/profiles", json={})).status_code == 201
        assert_problem(await gateway.client.post(f"{ALICE}/profiles", json={}), 409, "too_many_profiles")


@pytest.mark.parametrize(
    ("method", "path", "body", "says"),
    [
        ("POST", "/profiles", b"{", "JSON"),
        ("POST", "/profiles", b"[]", "body"),
        ("POST", "/profiles", b'{"name":7}', "name"),
        ("POST", "/profiles", b'{"name":"x","colour":"red"}', "colour"),
        ("POST", "/profiles", b'{"name":""}', "1 to 200"),
        ("POST", "/profiles", b'{"name":"a\\u0000b"}', "printable"),
        ("POST", "/profiles", b'{"name":"%s"}' % (b"x" * 201), "1 to 200"),
        ("PATCH", "/profiles/aaaaaaaa", b"{}", "name"),
        ("PATCH", "/profiles/aaaaaaaa", b'{"name":null}', "name"),
        ("PUT", "/selected-profile", b'{"profile":"x"}', "profileId"),
        ("PUT", "/selected-profile", b'{"profileId":["x"]}', "profileId"),
        ("PUT", "/selected-profile", b"\xff", "parsing the body"),
    ],
)
async def test_bodies_that_do_not_fit_say_where(gateway: Bench, method: str, path: str, body: bytes, says: str) -> None:
    headers = {"content-type": "application/json"}
    response = await gateway.client.request(method, ALICE + path, content=body, headers=headers)
    assert_problem(response, 400, "invalid_request", says=says)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("PATCH", "/profiles/ffffffff", {"name": "x"}, 404, "profile_not_found"),
        ("PUT", "/selected-profile", {"profileId": "ffffffff"}, 404, "profile_not_found"),
        ("PUT", "/selected-profile", {"profileId": "../x"}, 400, "invalid_id"),
        ("PATCH", "/profiles/me", {"name": "x"}, 400, "invalid_id"),
        ("DELETE", "/profiles/a%20b", None, 400, "invalid_id"),
    ],
)
async def test_profiles_that_do_not_exist(
    gateway: Bench, method: str, path: str, body: object, status: int, code: str
) -> None:
    assert_problem(await gateway.client.request(method, ALICE + path, json=body), status, code)
