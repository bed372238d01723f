"""Workers KV on loopback, as it is documented: readers lag up to a minute, misses are remembered like values, one write
per second and key, and errors in the API's envelope (10009: no such key).

Reads come from one location: what it has looked up, or missed, it answers for 60 s, whatever was written meanwhile. The
server's time is the `clock` it is given, so a minute passes when the test says so.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

CACHE_TTL_S = 60.0
ACCOUNT, NAMESPACE, TOKEN = "account-1", "namespace-1", "a-token"
ROOT = f"/client/v4/accounts/{ACCOUNT}/storage/kv/namespaces/{NAMESPACE}/"


@dataclass
class KvServer:
    """Looks behind the API, and what is to go wrong: `failures` are answered first, one per request."""

    now: Callable[[], float]
    url: str = ""
    values: dict[str, bytes] = field(default_factory=dict)
    looked_up: dict[str, tuple[bytes | None, float]] = field(default_factory=dict)
    written_at: dict[str, float] = field(default_factory=dict)
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    page_limit: int = 1000
    empty_first_page: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        with self.lock:
            self.requests.append((method, target))
            if self.failures:
                status, extra = self.failures.pop(0)
                return status, b"not json", extra
            if headers.get("authorization") != f"Bearer {TOKEN}":
                return _refused(401, 10000, "Authentication error")
            split = urlsplit(target)
            if not split.path.startswith(ROOT):
                return _refused(404, 10013, "namespace not found")
            rest = split.path.removeprefix(ROOT)
            if rest == "keys" and method == "GET":
                return self._list(parse_qs(split.query))
            if rest.startswith("values/"):
                return self._value(method, unquote(rest.removeprefix("values/")), body)
            return _refused(400, 10001, "no such call")

    def _value(self, method: str, key: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        now = self.now()
        if method == "GET":
            value, until = self.looked_up.get(key, (None, now))
            if now >= until:
                value = self.values.get(key)
                self.looked_up[key] = (value, now + CACHE_TTL_S)
            return _refused(404, 10009, "get: 'key not found'") if value is None else (200, value, {})
        if now - self.written_at.get(key, -1e9) < 1.0:
            return _refused(429, 10033, "too many writes of one key")
        self.written_at[key] = now
        if method == "PUT":
            self.values[key] = body
        else:
            self.values.pop(key, None)
        return 200, b'{"success":true,"errors":[],"messages":[],"result":null}', {}

    def _list(self, query: dict[str, list[str]]) -> tuple[int, bytes, dict[str, str]]:
        prefix, after = query["prefix"][0], query.get("cursor", ["0"])[0]
        names = sorted(name for name in self.values if name.startswith(prefix))
        start = int(after.removeprefix("at-")) if after.startswith("at-") else 0
        if self.empty_first_page and not after.startswith("at-"):
            return _page([], "at-0")
        chosen = names[start : start + self.page_limit]
        end = start + len(chosen)
        return _page(chosen, f"at-{end}" if end < len(names) else "")


def _page(names: list[str], cursor: str) -> tuple[int, bytes, dict[str, str]]:
    answer = {
        "success": True,
        "errors": [],
        "messages": [],
        "result": [{"name": name} for name in names],
        "result_info": {"count": len(names), "cursor": cursor},
    }
    return 200, json.dumps(answer).encode(), {}


def _refused(status: int, code: int, message: str) -> tuple[int, bytes, dict[str, str]]:
    answer = {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}
    return status, json.dumps(answer).encode(), {}


@contextmanager
def kv_server(now: Callable[[], float]) -> Iterator[KvServer]:
    """A running server on a free port."""
    kv = KvServer(now)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer, extra = kv.answer(self.command, self.path, headers, body)
            self.send_response(status)
            for name, value in {"content-length": str(len(answer)), **extra}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PUT = do_DELETE = _serve

        def log_message(self, *ignored: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    kv.url = f"http://127.0.0.1:{server.server_address[1]}/client/v4"
    try:
        yield kv
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
