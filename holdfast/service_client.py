"""A running service as the command line talks to it: over HTTP, with the token, errors as our own.

Promises: whatever goes wrong is a `HoldfastError` whose message is one line; large bodies travel as streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from holdfast.exit_code import ServiceUnreachable
from holdfast.settings import Settings
from storage.errors import HoldfastError, InvalidRequest

CONNECT_TIMEOUT_S = 5.0
# Longer than any statement deadline; a stream may pause this long between two chunks.
READ_TIMEOUT_S = 120.0
CHUNK_BYTES = 1 << 20


class ServiceRefused(HoldfastError):
    """The service answered with a problem; `code` and `retryable` are the service's."""

    def __init__(self, message: str, *, code: str, retryable: bool) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


def service_url(environ: Mapping[str, str], settings: Settings, flag: str | None) -> str:
    """Where the service is: --url, HOLDFAST_URL, else the host and port that `holdfast serve` would use here."""
    text = flag or environ.get("HOLDFAST_URL") or f"http://{_url_host(settings.service.host)}:{settings.service.port}"
    if not text.startswith(("http://", "https://")):
        raise InvalidRequest(f"service address {text!r}: expected http:// or https://")
    return text.rstrip("/")


def database_path(user: str, profile: str | None) -> str:
    """Path of a profile's database; of the selected profile without `profile`."""
    path = f"/v1/users/{quote(user, safe='@')}"
    return path if profile is None else f"{path}/profiles/{quote(profile, safe='@')}"


class ServiceClient:
    """Use as a context manager. One request at a time."""

    def __init__(self, url: str, token: str | None, *, transport: httpx.BaseTransport | None = None) -> None:
        self._url = url
        self._http = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            transport=transport,
            trust_env=False,
        )

    def __enter__(self) -> ServiceClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def call(self, method: str, path: str, *, json: object = None, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON answer (None when empty). Raises ServiceRefused, ServiceUnreachable."""
        with self._translated():
            response = self._http.request(method, path, json=json, headers=dict(headers or {}))
            _check(response)
            return response.json() if response.content else None

    def download(self, path: str, target: Path, *, advance: Callable[[int], None]) -> int:
        """Stream an answer into `target`, which appears whole or not at all. Bytes written."""
        part = target.with_name(f".{target.name}.part")
        try:
            size = self._download(path, part, advance)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return size

    def upload(self, path: str, source: Path, *, params: Mapping[str, str], advance: Callable[[int], None]) -> Any:
        """Stream a file as the request's body; the JSON answer."""
        with self._translated(), source.open("rb") as file:
            response = self._http.put(
                path,
                content=_chunks(file.read, advance),
                params=dict(params),
                headers={"content-type": "application/vnd.sqlite3", "content-length": str(source.stat().st_size)},
            )
            _check(response)
            return response.json() if response.content else None

    def _download(self, path: str, part: Path, advance: Callable[[int], None]) -> int:
        size = 0
        with self._translated(), self._http.stream("GET", path) as response:
            if response.is_error:
                response.read()
            _check(response)
            with part.open("wb") as file:
                for chunk in response.iter_bytes(CHUNK_BYTES):
                    file.write(chunk)
                    size += len(chunk)
                    advance(len(chunk))
        return size

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise ServiceUnreachable(
                f"no service answers at {self._url} ({error}); is `holdfast serve` running?"
            ) from error
        except httpx.HTTPError as error:
            raise ServiceUnreachable(f"{self._url}: {type(error).__name__} {error}".rstrip()) from error


def _check(response: httpx.Response) -> None:
    if not response.is_error:
        return
    try:
        problem = response.json()
        code, retryable = str(problem["code"]), bool(problem.get("retryable"))
        message = str(problem.get("detail") or problem.get("title") or code)
    except (ValueError, KeyError, TypeError):
        code, retryable = "http_error", response.status_code in (429, 502, 503, 504)
        message = f"HTTP {response.status_code} from {response.request.method} {response.request.url}"
    raise ServiceRefused(f"{message} ({code})", code=code, retryable=retryable)


def _chunks(read: Callable[[int], bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
    while chunk := read(CHUNK_BYTES):
        yield chunk
        advance(len(chunk))


def _url_host(host: str) -> str:
    """An address that reaches a service bound to `host`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"[{host}]" if ":" in host else host
