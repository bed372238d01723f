"""Which requests are plain, from their heads alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rest.direct_request import DirectRequest, direct_request
from gateway.rest.target import parse_target

HEADERS = [(b"host", b"localhost"), (b"content-length", b"2")]


def decide(
    url: bytes = b"/v1/users/alice/sql",
    *more: tuple[bytes, bytes],
    method: bytes = b"POST",
    version: str = "1.1",
    headers: list[tuple[bytes, bytes]] | None = None,
) -> DirectRequest | None:
    return direct_request(
        method, version, url, [*(HEADERS if headers is None else headers), *more], body_bytes_max=100, key_length_max=9
    )


def test_a_plain_request_says_whose_database_and_how() -> None:
    found = decide(b"/v1/me/profiles/main/sql", (b"holdfast-durability", b"r2"), (b"idempotency-key", b"k"))
    assert found is not None
    assert (found.target.user, found.target.profile) == (None, "main")
    assert found.args == {"shape": "arrays", "durability": "r2", "idempotency_key": "k"}
    assert found.headers[b"content-length"] == b"2"


@pytest.mark.parametrize(
    "url",
    [
        b"/v1/users/alice/sql?",
        b"/v1/users/alice/sql?stream=true",
        b"/v1/users/alice/sql#here",
        b"/v1/users/alice/sql/",
        b"/v1/users/al%69ce/sql",
        b"/v1/users/al\xc3\xafce/sql",
        b"/v1/users//sql",
        b"/v1/users/alice/status",
        b"/v1/users/alice/profiles/sql",
        b"/v1//me/sql",
        b"//v1/me/sql",
        b"http://localhost/v1/me/sql",
        b"/v2/me/sql",
        b"/v1/me/sql\n",
        b"/sql",
        b"*",
        b"",
        b"/v1/users/" + b"a" * 2000 + b"/sql",
    ],
)
def test_any_other_path_goes_the_long_way(url: bytes) -> None:
    assert decide(url) is None


@pytest.mark.parametrize(
    "more",
    [
        (b"transfer-encoding", b"chunked"),
        (b"expect", b"100-continue"),
        (b"upgrade", b"h2c"),
        (b"origin", b"http://localhost"),
        (b"content-encoding", b"gzip"),
        (b"host", b"localhost"),
        (b"content-length", b"2"),
        (b"holdfast-durability", b"paper"),
        (b"idempotency-key", b""),
        (b"idempotency-key", b"0123456789"),
    ],
)
def test_a_header_that_asks_for_more_goes_the_long_way(more: tuple[bytes, bytes]) -> None:
    assert decide(b"/v1/me/sql") is not None
    assert decide(b"/v1/me/sql", more) is None


@pytest.mark.parametrize("length", [b"", b"101", b"-1", b"+1", b"1 ", b"0x1", b"1,1", b"\xb2", b"9" * 5000])
def test_a_length_that_is_not_plainly_short_goes_the_long_way(length: bytes) -> None:
    assert decide(headers=[(b"content-length", b"100")]) is not None
    assert decide(headers=[(b"content-length", length)]) is None
    assert decide(headers=[]) is None


def test_only_post_of_http_1_1_is_plain() -> None:
    assert decide(method=b"PUT") is None
    assert decide(version="1.0") is None


@given(st.text(alphabet="/abv1.~-_%?#: sqlusersmeprofiles", max_size=40).map(lambda text: f"/v1/{text}/sql"))
def test_a_plain_path_means_what_the_long_way_takes_it_for(path: str) -> None:
    found = decide(path.encode())
    if found is not None:
        assert found.target == parse_target(path)
