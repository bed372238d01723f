"""Which browser pages may talk to us: the Origin check for WebSockets and, without a token, for every write. Pure.

A browser sends WebSocket handshakes and simple POSTs to any host, also to loopback, for any page that asks. A token
in a header stops that; a service without one looks at Origin, and at Host against names rebound to 127.0.0.1.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from gateway.auth import is_loopback


def origin_allowed(origin: str | None, host: str | None, allowed: Collection[str]) -> bool:
    """Whether a request with these Origin and Host headers may act. No Origin: no browser page, allowed.

    The origin's host and port equal to Host count as the same origin, whatever the scheme (TLS may end before us).
    """
    if origin is None or "*" in allowed or origin in allowed:
        return True
    parts = urlsplit(origin)
    return bool(host) and parts.scheme in ("http", "https") and parts.netloc.lower() == str(host).lower()


def host_allowed(host: str | None, allowed: Collection[str]) -> bool:
    """Whether a Host header names this machine's loopback or one of `allowed` (without port)."""
    if host is None:
        return True
    name = host.lower()
    if not name.endswith("]"):
        head, separator, port = name.rpartition(":")
        name = head if separator and port.isdigit() else name
    return name in allowed or is_loopback(name)
