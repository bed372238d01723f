"""Signed links allow one method on one key for a time, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.clock import SystemClock
from storage.errors import InvalidRequest, StoreRefused
from storage.objects.key import key_problem
from storage.objects.local import LocalStore
from storage.objects.memory import MemoryStore
from storage.objects.presign import ExpiredLink, InvalidLink, LinkSigner, Method, sign, verify

SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_700_000_000.5
SIGNER = LinkSigner(SECRET, "https://holdfast.example/base/")

KEYS = st.text(min_size=1, max_size=30).filter(lambda text: key_problem(text) is None)


def parts(url: str) -> dict[str, Any]:
    """What a server takes from a link."""
    split = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(split.query, strict_parsing=True).items()}
    return {
        "key": unquote(split.path).removeprefix("/base/v1/objects/"),
        "expires": query["expires"],
        "signature": query["signature"],
        "bound_content_type": query.get("content-type"),
    }


@given(
    KEYS,
    st.sampled_from(["GET", "PUT"]),
    st.none() | st.text(max_size=20).filter(lambda t: t.isprintable() and t != ""),
)
def test_a_link_is_verified_from_its_own_parts(key: str, method: Method, content_type: str | None) -> None:
    link = parts(SIGNER.url(method, key, NOW, expires_s=60, content_type=content_type))
    assert verify(SECRET, method=method, now=NOW + 59, sent_content_type=content_type, **link) == key


def test_the_link_reads_as_documented() -> None:
    url = SIGNER.url("PUT", "dev/a b/ü.mp4", NOW, expires_s=60, content_type="video/mp4")
    signature = sign(SECRET, "PUT", "dev/a b/ü.mp4", 1_700_000_060, "video/mp4")
    assert url == (
        "https://holdfast.example/base/v1/objects/dev/a%20b/%C3%BC.mp4"
        f"?expires=1700000060&signature={signature}&content-type=video%2Fmp4"
    )


def test_a_signature_of_version_1_stays_valid() -> None:
    assert sign(SECRET, "GET", "dev/a", 1_700_000_060) == GOLDEN


GOLDEN = "6c1fe8c3e30a470ac40c78e57cd9c9a830a3120e0db7e980992fb7bde26f9593"


def test_a_get_link_allows_head_and_no_put() -> None:
    link = parts(SIGNER.url("GET", "dev/a", NOW, expires_s=60))
    assert verify(SECRET, method="HEAD", now=NOW, **link) == "dev/a"
    for method in ("PUT", "DELETE", "POST", "get"):
        with pytest.raises(InvalidLink):
            verify(SECRET, method=method, now=NOW, **link)
    with pytest.raises(InvalidLink):
        verify(SECRET, method="GET", now=NOW, **parts(SIGNER.url("PUT", "dev/a", NOW, expires_s=60)))


def test_a_link_ends_at_its_time() -> None:
    link = parts(SIGNER.url("GET", "dev/a", NOW, expires_s=60))
    assert verify(SECRET, method="GET", now=NOW + 59.4, **link)
    with pytest.raises(ExpiredLink):
        verify(SECRET, method="GET", now=NOW + 59.5, **link)


@pytest.mark.parametrize(
    "change",
    [
        {"key": "dev/b"},
        {"expires": "1700000061"},
        {"expires": "17000000600"},
        {"expires": " 1700000060"},
        {"expires": "٣"},
        {"expires": ""},
        {"expires": "9" * 5000},
        {"signature": ""},
        {"signature": "0" * 64},
        {"signature": "\udc80"},
        {"bound_content_type": None},
        {"bound_content_type": "text/html"},
        {"sent_content_type": "text/html"},
        {"sent_content_type": None},
    ],
)
def test_any_change_is_refused(change: dict[str, str | None]) -> None:
    link = parts(SIGNER.url("PUT", "dev/a", NOW, expires_s=60, content_type="video/mp4"))
    arguments: dict[str, Any] = {"method": "PUT", "now": NOW, "sent_content_type": "video/mp4", **link}
    assert verify(SECRET, **arguments) == "dev/a"
    with pytest.raises(InvalidLink):
        verify(SECRET, **(arguments | change))
    with pytest.raises(InvalidLink):
        verify(b"another secret of 32 bytes......", **arguments)


def test_fields_cannot_run_into_each_other() -> None:
    assert sign(SECRET, "GET", "dev/a1", 7) != sign(SECRET, "GET", "dev/a", 17)
    assert sign(SECRET, "PUT", "a", 1, None) != sign(SECRET, "PUT", "a", 1, "")


def test_a_path_out_of_the_store_is_refused_even_when_signed() -> None:
    for key in ("../a", ".holdfast/secret"):
        with pytest.raises(InvalidRequest):
            SIGNER.url("GET", key, NOW, expires_s=60)
            verify(
                SECRET,
                method="GET",
                key=key,
                expires="1800000000",
                signature=sign(SECRET, "GET", key, 1800000000),
                now=NOW,
            )


def test_a_short_secret_is_refused_and_none_is_shown() -> None:
    with pytest.raises(InvalidRequest):
        LinkSigner(b"short", "http://127.0.0.1")
    assert "0123" not in repr(SIGNER)


async def test_local_and_memory_stores_sign_with_the_callers_address(tmp_path: Path) -> None:
    clock = SystemClock()
    for store in (MemoryStore(clock, links=SIGNER), LocalStore(tmp_path, clock, links=SIGNER)):
        link = parts(store.presign_get("dev/a", expires_s=60))
        assert verify(SECRET, method="GET", now=clock.wall(), **link) == "dev/a"
        link = parts(store.presign_put("dev/a", expires_s=60, content_type="video/mp4"))
        assert verify(SECRET, method="PUT", now=clock.wall(), sent_content_type="video/mp4", **link) == "dev/a"
        await store.close()


async def test_a_store_without_a_secret_says_so(tmp_path: Path) -> None:
    for store in (MemoryStore(SystemClock()), LocalStore(tmp_path, SystemClock())):
        with pytest.raises(StoreRefused, match="link secret"):
            store.presign_get("dev/a", expires_s=60)
        await store.close()
