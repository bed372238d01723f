"""Which pages may talk to us."""

from __future__ import annotations

import pytest

from gateway.origins import host_allowed, origin_allowed


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "result"),
    [
        (None, "localhost:8700", (), True),
        ("http://localhost:8700", "localhost:8700", (), True),
        ("https://app.example", "app.example", (), True),
        ("HTTP://LOCALHOST:8700", "localhost:8700", (), True),
        ("http://localhost:3000", "localhost:8700", (), False),
        ("http://localhost:3000", "localhost:8700", ("http://localhost:3000",), True),
        ("http://evil.example", "localhost:8700", ("http://localhost:3000",), False),
        ("http://evil.example", "localhost:8700", ("*",), True),
        ("null", "localhost:8700", (), False),
        ("null", "null", (), False),
        ("http://localhost:8700.evil.example", "localhost:8700", (), False),
        ("http://user@localhost:8700", "localhost:8700", (), False),
        ("file://localhost:8700", "localhost:8700", (), False),
        ("http://localhost:8700", None, (), False),
        ("", "localhost:8700", (), False),
    ],
)
def test_origin(origin: str | None, host: str | None, allowed: tuple[str, ...], result: bool) -> None:
    assert origin_allowed(origin, host, allowed) is result


@pytest.mark.parametrize(
    ("host", "result"),
    [
        (None, True),
        ("localhost", True),
        ("LOCALHOST:8700", True),
        ("127.0.0.1:8700", True),
        ("[::1]:8700", True),
        ("[::1]", True),
        ("evil.example:8700", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        ("box.lan", True),
    ],
)
def test_host(host: str | None, result: bool) -> None:
    assert host_allowed(host, ("box.lan",)) is result
